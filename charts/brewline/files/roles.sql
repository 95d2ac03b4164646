-- One role and one database for each service, and a role that may read everything and change nothing.
-- Run at the first start of the bundled server and again at each upgrade; nothing happens twice.
\set ON_ERROR_STOP 1
{{- range $name, $service := .services }}
{{- if $service.database }}
{{- $role := printf "brewline_%s" $name }}

\getenv password BREWLINE_POSTGRES_PASSWORD_{{ upper $name }}
select 'create role {{ $role }}' where not exists (select from pg_roles where rolname = '{{ $role }}') \gexec
alter role {{ $role }} login password :'password';
-- A managed server's first role is no super user: it must belong to a role to give it a database.
select 'grant {{ $role }} to current_user' where not (select rolsuper from pg_roles where rolname = current_user) \gexec
select 'create database {{ $role }} owner {{ $role }}' where not exists (select from pg_database where datname = '{{ $role }}') \gexec
revoke all on database {{ $role }} from public;
{{- end }}
{{- end }}

\getenv password BREWLINE_POSTGRES_PASSWORD_VERIFY
select 'create role brewline_verify' where not exists (select from pg_roles where rolname = 'brewline_verify') \gexec
alter role brewline_verify login password :'password';
grant pg_read_all_data to brewline_verify;
{{- range $name, $service := .services }}
{{- if $service.database }}
grant connect on database brewline_{{ $name }} to brewline_verify;
{{- end }}
{{- end }}
