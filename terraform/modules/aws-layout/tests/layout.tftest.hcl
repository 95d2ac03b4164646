# `terraform test` in this folder: needs no provider and no network.

variables {
  database_host = "db.example.com"
  brokers       = ["b-1.example.com", "b-2.example.com", "b-3.example.com"]
}

run "no_two_subnets_overlap" {
  command = plan

  assert {
    condition     = length(distinct(flatten([for purpose in output.subnets : values(purpose)]))) == 9
    error_message = "Nine subnets, all different."
  }

  # Pods have 10.20.0.0 to 10.20.95.255, load balancers 128.0 to 175.255, databases 192.0 to 239.255.
  assert {
    condition     = output.subnets.pods.c == "10.20.64.0/19" && output.subnets.public.a == "10.20.128.0/20" && output.subnets.data.a == "10.20.192.0/20"
    error_message = "Purposes have ranges of their own."
  }
}

run "connections_suffice_for_a_rollout" {
  command = plan

  assert {
    condition     = tonumber(output.database_parameters["max_connections"]) == 2 * 15 * 7 + 23
    error_message = "Twice the pods of services with a database, a pool and a listener each."
  }
}

run "few_pods_still_get_what_postgresql_gives_by_itself" {
  command = plan

  variables {
    replicas = { gateway = 1 }
  }

  assert {
    condition     = tonumber(output.database_parameters["max_connections"]) == 200
    error_message = "Never below 200."
  }
}

run "the_chart_is_told_to_speak_tls_to_brokers" {
  command = plan

  assert {
    condition     = yamldecode(output.values).kafka.external.brokers == "ssl://b-1.example.com:9096,ssl://b-2.example.com:9096,ssl://b-3.example.com:9096"
    error_message = "MSK has users over TLS only."
  }

  assert {
    condition     = yamldecode(output.values).postgres.external.cidrs == ["10.20.192.0/20", "10.20.208.0/20", "10.20.224.0/20"]
    error_message = "Policies let services into the subnets of databases, and nowhere else."
  }
}

run "two_zones_are_refused" {
  command = plan

  variables {
    zones = ["a", "b"]
  }

  expect_failures = [var.zones]
}

run "a_range_that_is_too_small_is_refused" {
  command = plan

  variables {
    cidr = "10.20.0.0/24"
  }

  expect_failures = [var.cidr]
}

run "every_user_of_kafka_has_a_secret" {
  command = plan

  assert {
    condition     = length(output.kafka_user_secrets) == 8 && output.kafka_user_secrets["order"] == "AmazonMSK_brewline_order"
    error_message = "Eight users."
  }
}
