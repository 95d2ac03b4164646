output "namespace" {
  description = "The namespace that brewline is in."
  value       = module.platform.namespace
}

output "release_name" {
  description = "The release, as `helm` knows it."
  value       = module.platform.release_name
}

output "chart_version" {
  description = "The version of the chart that is installed."
  value       = module.platform.chart_version
}

output "gateway_url" {
  description = "The gateway as pods of the cluster reach it."
  value       = module.platform.gateway_url
}

output "secrets" {
  description = "The Secrets that were made of the given passwords, by owner."
  value       = module.platform.secrets
}

output "port_forward" {
  description = "The command that brings the gateway to http://127.0.0.1:8080."
  value       = "kubectl -n ${module.platform.namespace} port-forward svc/${module.platform.fullname}-gateway 8080:80"
}
