# brewline on a cluster that is there already: kind, minikube, or any other that a kubeconfig leads to.

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

module "platform" {
  source = "../../modules/platform"

  namespace       = var.namespace
  release_name    = var.release_name
  chart           = coalesce(var.chart, "${path.module}/../../../charts/brewline")
  chart_version   = var.chart_version
  values          = [for name in var.values_files : file(name)]
  passwords       = var.passwords
  timeout_seconds = var.timeout_seconds
  atomic          = false
  labels          = { "app.kubernetes.io/part-of" = "brewline" }
}
