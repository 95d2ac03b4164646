# brewline on EKS, with RDS and MSK that are there already. The servers themselves are made elsewhere:
# docs/operating/aws.md says what they have to be like, `module.layout` works their settings out.

provider "kubernetes" {
  config_path    = pathexpand(var.kubeconfig)
  config_context = var.kubeconfig_context
}

provider "helm" {
  kubernetes {
    config_path    = pathexpand(var.kubeconfig)
    config_context = var.kubeconfig_context
  }
}

module "layout" {
  source = "../../modules/aws-layout"

  name          = var.name
  cidr          = var.cidr
  zones         = var.zones
  replicas      = var.replicas
  pool_size     = var.pool_size
  database_host = var.database_host
  brokers       = var.brokers
}

module "platform" {
  source = "../../modules/platform"

  namespace = var.name
  # It holds the master user of RDS before anything is installed.
  create_namespace = false
  release_name     = var.name
  chart            = "${path.module}/../../../charts/brewline"
  values = concat(
    [file("${path.module}/../../../charts/brewline/values-aws.yaml"), module.layout.values, local.own],
    [for name in var.values_files : file(name)],
  )
  passwords       = var.passwords
  timeout_seconds = 1200
  atomic          = true
  history_max     = 20
  labels          = { "app.kubernetes.io/part-of" = "brewline" }
}

locals {
  pool = { env = { BREWLINE_POSTGRES_POOL_SIZE = tostring(var.pool_size) } }

  own = yamlencode({
    image    = { repository = var.image_repository }
    ingress  = { host = var.host }
    services = { for service in ["order", "payment", "inventory", "barista", "notification", "leaderboard"] : service => local.pool }
  })
}
