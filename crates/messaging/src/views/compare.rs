//! Whether the new tables hold what the live ones hold.

use brewline_postgres as postgres;
use brewline_postgres::Transaction;
use brewline_proto::operator::v1 as pb;

use super::Table;
use super::shadow::Shadow;

/// Differences that are named.
const NAMED: i64 = 10;
/// A comparison reads whole tables, which takes longer than any statement of a service may.
const PATIENCE_SECONDS: u32 = 600;

const DIFFERENCES: &str = "
    select table_name, key, kind, count(*) over () from view_difference
    order by table_name, key limit $1";

const ROWS: &str = "select coalesce(sum(rows), 0)::bigint from view_rows";

/// What a comparison has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Differences {
    pub(super) count: i64,
    pub(super) first: Vec<pb::ViewDifference>,
    /// Rows of the new view.
    pub(super) rows: i64,
}

// Sessions of services look single rows up by index, whatever the planner thinks; here it is to read
// whole tables.

/// Compares in `tx`, whose snapshot shows both at the same positions.
pub(super) async fn compare(
    tx: &Transaction<'_>,
    shadow: &Shadow,
) -> Result<Differences, postgres::Error> {
    let mut sql = format!(
        "set local statement_timeout = '{PATIENCE_SECONDS}s';
         set local enable_seqscan = on; set local enable_hashjoin = on; set local enable_mergejoin = on;
         create temporary table view_difference (table_name text, key text, kind integer) on commit drop;
         create temporary table view_rows (rows bigint) on commit drop;"
    );
    for table in shadow.view.tables {
        sql.push_str(&of_table(&shadow.schema(), table));
    }
    tx.batch_execute(&sql).await?;
    let found = tx.query(DIFFERENCES, &[&NAMED]).await?;
    let mut differences = Differences {
        rows: tx.query_one(ROWS, &[]).await?.try_get(0)?,
        ..Differences::default()
    };
    for row in &found {
        differences.count = row.try_get(3)?;
        differences.first.push(pb::ViewDifference {
            table: row.try_get(0)?,
            key: row.try_get(1)?,
            kind: row.try_get(2)?,
        });
    }
    Ok(differences)
}

/// Rows are paired by the primary key and compared column by column.
fn of_table(schema: &str, table: &Table) -> String {
    let name = table.name;
    let left_out: Vec<String> = table
        .not_compared
        .iter()
        .map(|column| format!("'{column}'"))
        .collect();
    let left_out = left_out.join(", ");
    format!(
        "do $compare$
         declare
             pairs text;
             keys text;
             one text;
             live text;
             fresh text;
         begin
             select string_agg(format('l.%1$I = n.%1$I', a.attname), ' and '),
                    string_agg(format('coalesce(l.%1$I, n.%1$I)::text', a.attname), ', '),
                    min(a.attname::text)
             into pairs, keys, one
             from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
             where i.indrelid = 'public.{name}'::regclass and i.indisprimary;
             select string_agg(format('l.%I', a.attname), ', ' order by a.attnum),
                    string_agg(format('n.%I', a.attname), ', ' order by a.attnum)
             into live, fresh
             from pg_attribute a
             where a.attrelid = 'public.{name}'::regclass and a.attnum > 0 and not a.attisdropped
               and not a.attname = any (array[{left_out}]::name[]);
             execute format(
                 'insert into pg_temp.view_difference
                  select %L, concat_ws(''/'', %s),
                         case when n.%4$I is null then 1 when l.%4$I is null then 2 else 3 end
                  from public.{name} l full join {schema}.{name} n on %3$s
                  where l.%4$I is null or n.%4$I is null
                     or row(%5$s) is distinct from row(%6$s)',
                 '{name}', keys, pairs, one, live, fresh);
             insert into pg_temp.view_rows select count(*) from {schema}.{name};
         end $compare$;"
    )
}
