output "namespace" {
  description = "The namespace that brewline is in."
  value       = helm_release.brewline.namespace
}

output "release_name" {
  description = "The release, as `helm` knows it."
  value       = helm_release.brewline.name
}

output "fullname" {
  description = "What the names of the chart's objects begin with."
  value       = local.fullname
}

output "chart_version" {
  description = "The version of the chart that is installed."
  value       = helm_release.brewline.version
}

output "gateway_url" {
  description = "The gateway as pods of the cluster reach it."
  value       = "http://${local.fullname}-gateway.${helm_release.brewline.namespace}.svc"
}

output "secrets" {
  description = "The Secrets that were made of the given passwords, by owner."
  value       = { for owner, secret in kubernetes_secret.passwords : owner => secret.metadata[0].name }
}
