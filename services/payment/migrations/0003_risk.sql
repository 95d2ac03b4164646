-- The risk rule that refused the authorisation; none when none did.
alter table payment add column risk_rule text;

-- What the risk rules counted of a card or a customer. The subject is a digest: which customer and which
-- card can be asked, not read; rows hold no order, and go when nothing in them counts any more.
create table risk_tally (
    revision   bigint      not null,                    -- raised by every write: of two first writes one finds out
    expires_at timestamptz not null,                    -- nothing in it counts after this; rounded up, so that updates stay HOT
    subject    bytea       primary key,
    counts     jsonb       not null                     -- by rule: [slice from, counts until, how many], in microseconds
) with (fillfactor = 70);
create index risk_tally_expires_at on risk_tally (expires_at);
