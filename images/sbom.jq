# A bill of materials (CycloneDX 1.5) of one package, from `cargo metadata`: everything that is linked
# into its program, and nothing that only builds or tests it.
# $name: the package; $stamp: when it was made.

(.packages | map({ key: .id, value: . }) | from_entries) as $packages
| (.resolve.nodes
    | map({ key: .id, value: [.deps[] | select(any(.dep_kinds[]; .kind == null)) | .pkg] })
    | from_entries) as $uses
| (.packages[] | select(.name == $name)) as $root

| def closure: . as $seen
    | ([.[] | $uses[.][]] + . | unique) as $more
    | if ($more | length) == ($seen | length) then . else $more | closure end;
  def reference: "pkg:cargo/\(.name)@\(.version)";
  def component($type): {
    type: $type,
    "bom-ref": reference,
    name,
    version,
    purl: reference,
    licenses: (if .license then [{ expression: (.license | gsub("/"; " OR ")) }] else [] end)
  };

[$root.id] | closure
| {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: { timestamp: $stamp, component: ($root | component("application")) },
    components: (map($packages[.]) | map(select(.id != $root.id)) | sort_by(.name, .version)
      | map(component("library"))),
    dependencies: (map({
        ref: ($packages[.] | reference),
        dependsOn: ([$uses[.][] | $packages[.] | reference] | sort)
      }) | sort_by(.ref))
  }
