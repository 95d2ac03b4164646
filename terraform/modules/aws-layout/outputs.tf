output "subnets" {
  description = "Subnets by purpose and zone: `pods` (private), `public` (load balancers), `data` (databases and brokers, no way out)."
  value       = { pods = local.pods, public = local.public, data = local.data }
}

output "database_parameters" {
  description = "Parameters for the parameter group of PostgreSQL. Without TLS between services and database: keep it in the subnets of `data`."
  value = {
    "rds.force_ssl"                       = "1"
    "idle_in_transaction_session_timeout" = "60000"
    "max_connections"                     = tostring(max(200, local.connections))
    "jit"                                 = "0"
    "max_parallel_workers_per_gather"     = "0"
    "random_page_cost"                    = "1.1"
    "default_statistics_target"           = "10"
    "timezone"                            = "UTC"
  }
}

output "broker_settings" {
  description = "Settings of the brokers' configuration."
  value = {
    "auto.create.topics.enable"      = "false"
    "allow.everyone.if.no.acl.found" = "false"
    "default.replication.factor"     = "3"
    "min.insync.replicas"            = "2"
    "unclean.leader.election.enable" = "false"
    "log.retention.ms"               = "-1"
  }
}

output "kafka_user_secrets" {
  description = "Names of the secrets that MSK takes its users from, by user."
  value       = { for user in concat(["admin", "operator"], local.services) : user => "AmazonMSK_${var.name}_${user}" }
}

output "values" {
  description = "Values for the chart, as YAML, to be given after values-aws.yaml."
  value = yamlencode({
    services = { for service, replicas in var.replicas : service => { replicas = replicas } }
    postgres = { external = { host = var.database_host, cidrs = values(local.data) } }
    kafka = { external = {
      brokers = join(",", [for broker in var.brokers : "ssl://${broker}:9096"])
      port    = 9096
      cidrs   = values(local.data)
    } }
  })
}
