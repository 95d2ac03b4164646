# Writes the broker's settings, formats an empty volume, becomes the broker.
set -euo pipefail
data=/var/lib/kafka/data/log
settings=/run/brewline/server.properties
login() { printf 'org.apache.kafka.common.security.%s required username="broker" password="%s"' "$1" "$BREWLINE_KAFKA_PASSWORD_BROKER"; }

umask 077
{
  cat /etc/brewline/server.properties
  echo "node.id=${HOSTNAME##*-}"
  echo "advertised.listeners=BROKER://$HOSTNAME.$BREWLINE_KAFKA_DOMAIN:9092"
  echo "listener.name.broker.scram-sha-512.sasl.jaas.config=$(login scram.ScramLoginModule);"
  echo "listener.name.controller.plain.sasl.jaas.config=$(login plain.PlainLoginModule) user_broker=\"$BREWLINE_KAFKA_PASSWORD_BROKER\";"
} >"$settings"

# Formatting writes this file last: without it a folder is empty or was left half made.
if [ ! -f "$data/meta.properties" ]; then
  rm -rf "$data"
  users=()
  for variable in ${!BREWLINE_KAFKA_PASSWORD_@}; do
    user=${variable#BREWLINE_KAFKA_PASSWORD_}
    users+=(--add-scram "SCRAM-SHA-512=[name=${user,,},password=${!variable}]")
  done
  # It tells the salted passwords: its words are for the case that it fails.
  if ! said=$(KAFKA_HEAP_OPTS=-Xmx256m /opt/kafka/bin/kafka-storage.sh format \
    -t "$BREWLINE_KAFKA_CLUSTER_ID" -c "$settings" "${users[@]}" 2>&1); then
    printf '%s\n' "$said" | grep -v UserScramCredentialRecord >&2
    exit 1
  fi
fi
exec /opt/kafka/bin/kafka-server-start.sh "$settings"
