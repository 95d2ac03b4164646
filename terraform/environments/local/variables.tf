variable "kubeconfig" {
  description = "The kubeconfig of the cluster."
  type        = string
  default     = "~/.kube/config"
  nullable    = false
}

variable "kubeconfig_context" {
  description = "The context in it. None: the current one."
  type        = string
  default     = null
}

variable "namespace" {
  description = "The namespace that is made and installed into."
  type        = string
  default     = "brewline"
  nullable    = false
}

variable "release_name" {
  description = "The release's name."
  type        = string
  default     = "brewline"
  nullable    = false
}

variable "chart" {
  description = "The chart: a folder, an archive, or an `oci://` address. None: the one of this repository."
  type        = string
  default     = null
}

variable "chart_version" {
  description = "The chart's version, for a chart out of a registry."
  type        = string
  default     = null
}

variable "values_files" {
  description = "Files of values for the chart, later ones win."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "passwords" {
  description = "Passwords by owner, as the module `platform` takes them. Who is not named gets generated ones."
  type = map(object({
    postgres = string
    kafka    = string
  }))
  default   = {}
  nullable  = false
  sensitive = true
}

variable "timeout_seconds" {
  description = "How long an installation or an upgrade may take until every pod is ready."
  type        = number
  default     = 600
  nullable    = false
}
