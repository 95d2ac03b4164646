variable "kubeconfig" {
  description = "The kubeconfig of the EKS cluster (`aws eks update-kubeconfig`)."
  type        = string
  default     = "~/.kube/config"
  nullable    = false
}

variable "kubeconfig_context" {
  description = "The context in it. None: the current one."
  type        = string
  default     = null
}

variable "name" {
  description = "The release and its namespace, and what servers and secrets are called after."
  type        = string
  default     = "brewline"
  nullable    = false
}

variable "cidr" {
  description = "The VPC's addresses."
  type        = string
  default     = "10.20.0.0/16"
  nullable    = false
}

variable "zones" {
  description = "The three availability zones, such as eu-west-1a."
  type        = list(string)
  nullable    = false
}

variable "replicas" {
  description = "Pods by service."
  type        = map(number)
  default = {
    gateway      = 3
    order        = 3
    payment      = 3
    inventory    = 3
    barista      = 2
    notification = 2
    leaderboard  = 2
  }
  nullable = false
}

variable "pool_size" {
  description = "Connections in each pod's pool."
  type        = number
  default     = 6
  nullable    = false
}

variable "database_host" {
  description = "The address of RDS, without the port."
  type        = string
  nullable    = false
}

variable "brokers" {
  description = "The hosts of MSK's brokers."
  type        = list(string)
  nullable    = false
}

variable "image_repository" {
  description = "Registry and folder of the images, such as ACCOUNT.dkr.ecr.REGION.amazonaws.com/brewline."
  type        = string
  nullable    = false
}

variable "host" {
  description = "The name under which customers reach the gateway."
  type        = string
  nullable    = false
}

variable "values_files" {
  description = "More files of values for the chart, later ones win."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "passwords" {
  description = "Passwords of all six services with a database and of `evidence`, the same as in RDS and MSK."
  type = map(object({
    postgres = string
    kafka    = string
  }))
  nullable  = false
  sensitive = true
}
