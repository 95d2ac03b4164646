locals {
  # Sixteenths of the range: a zone's pods get two of them (most addresses are pods'), load balancers and
  # databases one a zone.
  sixteenths = [for i in range(16) : cidrsubnet(var.cidr, 4, i)]
  pods       = { for i, zone in var.zones : zone => cidrsubnet(var.cidr, 3, i) }
  public     = { for i, zone in var.zones : zone => local.sixteenths[8 + i] }
  data       = { for i, zone in var.zones : zone => local.sixteenths[12 + i] }

  services  = ["order", "payment", "inventory", "barista", "notification", "leaderboard"]
  pods_most = 2 * sum([for service in local.services : lookup(var.replicas, service, 1)])

  # The toolbox and the Jobs are 20 more, three are PostgreSQL's own.
  connections = local.pods_most * (var.pool_size + 1) + 23
}
