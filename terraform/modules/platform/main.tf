# brewline in a namespace of its own: the namespace, the secrets that were given, the chart.

locals {
  namespace = var.create_namespace ? kubernetes_namespace.this[0].metadata[0].name : var.namespace

  # As the chart names its objects.
  fullname = length(regexall("brewline", var.release_name)) > 0 ? var.release_name : "${var.release_name}-brewline"

  # The names are no secret, and a resource can only be made for each of what may be shown.
  owners   = toset(nonsensitive(keys(var.passwords)))
  services = setsubtract(local.owners, ["evidence"])

  # The chart makes no Secret for whom an existing one is named.
  existing_secrets = merge(
    length(local.services) == 0 ? {} : {
      services = {
        for service in local.services :
        service => { existingSecret = kubernetes_secret.passwords[service].metadata[0].name }
      }
    },
    !contains(local.owners, "evidence") ? {} : {
      evidence = { existingSecret = kubernetes_secret.passwords["evidence"].metadata[0].name }
    },
  )
}

resource "kubernetes_namespace" "this" {
  count = var.create_namespace ? 1 : 0

  metadata {
    name = var.namespace
    labels = merge(var.labels, {
      # Every pod of the chart passes it; a pod that would not is refused, whoever brings it.
      "pod-security.kubernetes.io/enforce" = "restricted"
      "pod-security.kubernetes.io/warn"    = "restricted"
    })
  }
}

resource "kubernetes_secret" "passwords" {
  for_each = local.owners

  metadata {
    name      = "${local.fullname}-${each.key}-given"
    namespace = local.namespace
    labels    = var.labels
  }

  data = {
    "postgres-password" = var.passwords[each.key].postgres
    "kafka-password"    = var.passwords[each.key].kafka
  }
}

resource "helm_release" "brewline" {
  name      = var.release_name
  namespace = local.namespace
  chart     = var.chart
  version   = var.chart_version
  values    = concat(var.values, [yamlencode(local.existing_secrets)])

  wait        = true
  timeout     = var.timeout_seconds
  atomic      = var.atomic
  max_history = var.history_max
}
