output "namespace" {
  description = "The namespace that brewline is in."
  value       = module.platform.namespace
}

output "subnets" {
  description = "The subnets that the VPC needs, by purpose and zone."
  value       = module.layout.subnets
}

output "database_parameters" {
  description = "What the parameter group of RDS has to hold."
  value       = module.layout.database_parameters
}

output "broker_settings" {
  description = "What the configuration of MSK has to hold."
  value       = module.layout.broker_settings
}

output "kafka_user_secrets" {
  description = "The secrets of Secrets Manager that MSK takes its users from."
  value       = module.layout.kafka_user_secrets
}
