# === Where ===

variable "namespace" {
  description = "The namespace that everything is installed into."
  type        = string
  default     = "brewline"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "A namespace is a DNS label: small letters, digits and hyphens, 63 at most."
  }
}

variable "create_namespace" {
  description = "Whether the namespace is made (and destroyed) here. When it is, it enforces the pod security standard `restricted`."
  type        = bool
  default     = true
  nullable    = false
}

variable "labels" {
  description = "More labels for what is made here beside the chart: the namespace and the secrets."
  type        = map(string)
  default     = {}
  nullable    = false
}

# === The chart ===

variable "release_name" {
  description = "The release's name. With `brewline` the objects are called `brewline-order` and so on."
  type        = string
  default     = "brewline"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$", var.release_name))
    error_message = "A release's name is a DNS label of 40 characters at most: names of objects are made from it."
  }
}

variable "chart" {
  description = "The chart: a folder, an archive, or an `oci://` address."
  type        = string
  nullable    = false
}

variable "chart_version" {
  description = "The chart's version, for a chart out of a registry. None: what lies in the folder, or the newest."
  type        = string
  default     = null
}

variable "values" {
  description = "Values for the chart as YAML documents, later ones win: usually `file(\"…/values-ha.yaml\")`."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "timeout_seconds" {
  description = "How long an installation or an upgrade may take until every pod is ready. 600: on a node without the images they are fetched first."
  type        = number
  default     = 600
  nullable    = false

  validation {
    condition     = var.timeout_seconds >= 60
    error_message = "A first start of PostgreSQL and Kafka takes most of a minute."
  }
}

variable "atomic" {
  description = "Whether a failed upgrade is rolled back at once. Off for a first look, where the failed pods are what one wants to see."
  type        = bool
  default     = true
  nullable    = false
}

variable "history_max" {
  description = "How many revisions are kept for `helm rollback`."
  type        = number
  default     = 10
  nullable    = false
}

# === Secrets ===

variable "passwords" {
  description = "Passwords by owner: a service with a database, or `evidence` for the role and the user that read everything. Who is not named gets passwords that the chart makes once and keeps in the cluster; what is named here lies in Terraform's state."
  type = map(object({
    postgres = string
    kafka    = string
  }))
  default   = {}
  nullable  = false
  sensitive = true

  validation {
    condition = length(setsubtract(nonsensitive(keys(var.passwords)), [
      "order", "payment", "inventory", "barista", "notification", "leaderboard", "evidence",
    ])) == 0
    error_message = "Passwords are given to order, payment, inventory, barista, notification, leaderboard and evidence."
  }
}
