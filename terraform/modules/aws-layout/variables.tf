variable "name" {
  description = "What everything of the installation is called after."
  type        = string
  default     = "brewline"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.name))
    error_message = "A name of small letters, digits and hyphens, 31 at most: databases and brokers are named after it."
  }
}

variable "cidr" {
  description = "The VPC's addresses, a /16 to /20. A pod has an address of its own."
  type        = string
  default     = "10.20.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 20, false)
    error_message = "The VPC needs a range from /16 to /20, such as 10.20.0.0/16."
  }
}

variable "zones" {
  description = "Availability zones: three, so that one can go and brokers still agree."
  type        = list(string)
  default     = ["a", "b", "c"]
  nullable    = false

  validation {
    condition     = length(var.zones) == 3 && length(distinct(var.zones)) == 3
    error_message = "Three different zones: a log of three copies has a majority when one is gone."
  }
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
  description = "Connections in each pod's pool (`BREWLINE_POSTGRES_POOL_SIZE`)."
  type        = number
  default     = 6
  nullable    = false
}

variable "database_host" {
  description = "Where PostgreSQL is reached."
  type        = string
  nullable    = false
}

variable "brokers" {
  description = "Kafka's brokers as `host` alone; they are reached over TLS at port 9096."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.brokers) >= 3
    error_message = "Each record has three copies: at least three brokers."
  }
}
