# shellcheck shell=bash disable=SC2034  # stage.sh reads DATABASE and SHOWN_LINES
# story.sh - the seven steps of the demonstration, one function each, in order.
#
# The story: a support employee with valid credentials reads the customers'
# records and sells them.  First as it happened, then with Redoubt.
# Needs stage.sh, CSV (the file of customers) and ROOT.

# What one customer looks like, for look-ups; chosen by story_data.
KNOWN_ID='' KNOWN_EMAIL='' KNOWN_NAME=''
CUSTOMERS=0   # rows of the table
ADDRESSES=0   # different e-mail addresses in it
BEFORE=''     # what the theft came to without and with Redoubt
AFTER=''

# story_data: creates the database of the time before, and remembers its plaintext.
story_data() {
  heading 'A support database, as many are'
  say 'One table; agents, team leads; an index for look-ups by e-mail.  "rogue" is a team lead who sells addresses.'
  DATABASE=postgres ask 'CREATE DATABASE support' >/dev/null
  sql postgres <"$ROOT/demo/schema.sql"
  [[ -z $SQLSTATE ]] || die 'the schema could not be created'
  as_user "$PG_BIN/psql" -X -q -U support_owner -d support -v ON_ERROR_STOP=1 \
    -c '\copy support.ticket FROM STDIN (FORMAT csv, HEADER)' <"$CSV" || die "cannot load $CSV"
  ask 'ANALYZE support.ticket'

  ask "SELECT DISTINCT v FROM support.ticket, unnest(ARRAY[customer_name, customer_email, customer_phone]) v
       WHERE length(v) > 6 AND v ~ '[ @-]'" >"$SECRETS"
  ask 'SELECT DISTINCT customer_email FROM support.ticket' | sort >"$SECRETS.email"
  CUSTOMERS=$(ask 'SELECT count(*) FROM support.ticket')
  ADDRESSES=$(wc -l <"$SECRETS.email")
  note "loaded: $CUSTOMERS tickets, $ADDRESSES different e-mail addresses"
  [[ $(wc -l <"$SECRETS") -gt $CUSTOMERS ]] || die 'the data holds too little to look for'
  local known
  known=$(ask "SELECT min(ticket_id), customer_email, min(customer_name) FROM support.ticket
               GROUP BY customer_email HAVING count(*) = 1 ORDER BY 1 OFFSET 41 LIMIT 1")
  IFS='|' read -r KNOWN_ID KNOWN_EMAIL KNOWN_NAME <<<"$known"
}

story_breach() {
  step 1 'The breach as it happened: plaintext, and a valid login'
  SHOWN_LINES=4 expect_ok 'the employee copies the table; nothing stops it, nothing counts it' rogue <<'SQL'
COPY (SELECT customer_name, customer_email, customer_phone FROM support.ticket) TO STDOUT;
SQL
  local taken
  taken=$(harvested)
  BEFORE="$taken of $ADDRESSES e-mail addresses in $SECONDS_TAKEN s, and no trace"
  expect_true "taken: $BEFORE" test "$taken" = "$ADDRESSES"
  : >"$HARVEST"
}

story_protect() {
  step 2 'The columns become token types'
  expect_ok 'the extension is installed' postgres <<<'CREATE EXTENSION redoubt;'
  expect_ok 'four columns become tokens by ALTER TABLE' postgres <"$ROOT/demo/protect.sql"
  local milliseconds
  milliseconds=$(sed -n 's/^Time: \([0-9]*\)[.,].*/\1/p' "$OUT")
  expect_true "$CUSTOMERS rows tokenized and their indexes rebuilt in ${milliseconds:-?} ms" test "${milliseconds:-60000}" -lt 60000
  expect_rows 3 'the table can be read as ever' postgres <<'SQL'
SELECT ticket_id, customer_email, status FROM support.ticket LIMIT 3;
SQL
  expect_no_plaintext 'what it shows now is tokens'
  say 'Who may do what is plain GRANT.'
  expect_ok 'privileges are granted' postgres <"$ROOT/demo/grants.sql"
}

story_application() {
  step 3 "The application's own queries, unchanged, under redoubt.reveal = auto"
  say 'The agent looks a customer up by e-mail, and sees what an agent may see.'
  expect_rows 1 'the agent finds the customer' agent <<SQL
SELECT ticket_id, customer_name, customer_email, status FROM support.ticket WHERE customer_email = '$KNOWN_EMAIL';
SQL
  expect_no_plaintext 'the agent sees name and e-mail masked'
  expect_text '•' 'the masks hold the mask character'
  expect_text "$KNOWN_ID" 'the ticket number, granted to everyone, is plain'

  say 'The team lead runs the same query.'
  expect_rows 1 'the team lead finds the customer' team_lead <<SQL
SELECT ticket_id, customer_name, customer_email, status FROM support.ticket WHERE customer_email = '$KNOWN_EMAIL';
SQL
  expect_text "$KNOWN_EMAIL" 'the team lead sees the e-mail in plaintext'
  expect_text "$KNOWN_NAME" 'the team lead sees the name in plaintext'

  say 'The look-up value becomes a token when the query is parsed, so the old index serves.'
  expect_ok 'the plan of the look-up' team_lead <<SQL
EXPLAIN (COSTS OFF) SELECT * FROM support.ticket WHERE customer_email = '$KNOWN_EMAIL';
SQL
  expect_text 'ticket_customer_email' 'look-up by e-mail uses the index'
  expect_no_plaintext 'the plan holds no plaintext'

  say 'New customers are entered as ever; a telephone number is found however it is written.'
  expect_ok 'a new customer is entered' team_lead <<'SQL'
INSERT INTO support.ticket VALUES ('TM-9999999', 'Łucja Example', 'lucja.example@example.org', '+44 7700 900123',
    'Roomba Robot', 'Product setup', 'Open', 'Low', 'Email', '2026-01-15')
RETURNING ticket_id, customer_name, customer_email, customer_phone;
SQL
  expect_text 'lucja.example@example.org' 'RETURNING shows what SELECT would'
  expect_rows 1 'the customer is found by telephone number' agent <<'SQL'
SELECT ticket_id, customer_name, customer_phone FROM support.ticket WHERE customer_phone = '+44 (7700) 900-123';
SQL

  say 'A masked value that an application writes back is an error, never data loss.'
  expect_error '22???' 'the masked value is refused' agent <<SQL
UPDATE support.ticket SET customer_email = 'a•••@example.com' WHERE ticket_id = '$KNOWN_ID';
SQL
}

story_rogue() {
  step 4 'The rogue employee: a valid login, granted plaintext, and a budget'
  SHOWN_LINES=0 expect_ok 'team leads get limits' postgres <"$ROOT/demo/limits.sql"
  expect_rows 5 'the limits are in force' postgres <<'SQL'
SELECT role, token_type, operation, max_values, per, on_excess FROM redoubt.limits;
SQL

  say 'A dump of the table is useless.'
  SHOWN_LINES=2
  expect_ok 'COPY of the table runs' rogue <<<'COPY support.ticket TO STDOUT;'
  expect_no_plaintext 'COPY gives tokens'
  expect_true 'pg_dump of the table runs' shell pg_dump --username=rogue --inserts --table=support.ticket support
  grep '^INSERT' "$OUT" >"$OUT.rows" || true
  show_first "$OUT.rows"
  expect_no_plaintext 'pg_dump gives tokens' "$OUT.rows"

  say 'A loop over detokenize: a hundred at once, then paced, then the wall.'
  SHOWN_LINES=4
  expect_error 53400 'the loop over detokenize is blocked' rogue <<'SQL'
COPY (SELECT redoubt.detokenize(customer_email) FROM support.ticket) TO STDOUT;
SQL
  local taken first=$SECONDS_TAKEN
  taken=$(harvested)
  expect_true "before that it was paced: $first s for $taken addresses" test "${first/./}" -gt 150
  expect_true "no more than the hour's budget came out: $taken of $ADDRESSES" test "$taken" -gt 0 -a "$taken" -le 310

  say 'Guessing instead: a dictionary of addresses, tokenized and compared.'
  expect_error 53400 'the dictionary is blocked' rogue <<'SQL'
SELECT count(*) FROM support.ticket t
JOIN generate_series(1, 5000) n ON t.customer_email = redoubt.email_token('customer' || n || '@example.com');
SQL

  say 'Other ways to the same value.'
  expect_error 53400 'SELECT with reveal = plain: blocked' rogue <<'SQL'
SET redoubt.reveal = 'plain';
SELECT customer_email FROM support.ticket;
SQL
  expect_error 53400 'COPY of a query: blocked' rogue <<'SQL'
COPY (SELECT customer_email FROM support.ticket) TO STDOUT;
SQL
  expect_error 53400 'a cursor: blocked' rogue <<'SQL'
BEGIN;
DECLARE c CURSOR FOR SELECT customer_email FROM support.ticket;
FETCH 100 FROM c;
SQL
  expect_error 53400 'as JSON: blocked' rogue <<'SQL'
SELECT json_agg(t) FROM support.ticket t;
SQL
  expect_error 53400 "a function of one's own: blocked" rogue <<'SQL'
CREATE FUNCTION pg_temp.peek(redoubt.email_token) RETURNS text LANGUAGE sql AS 'SELECT redoubt.detokenize($1)';
SELECT pg_temp.peek(customer_email) FROM support.ticket;
SQL
  expect_error 53400 'SET ROLE: blocked, the budget is that of the login' rogue <<'SQL'
SET ROLE support_lead;
SELECT redoubt.detokenize(customer_email) FROM support.ticket;
SQL
  expect_error 42501 'the limit cannot be lifted by whom it limits' rogue <<'SQL'
SELECT redoubt.drop_limit('support_lead', 'redoubt.email_token', 'reveal');
SQL
  taken=$(harvested)
  AFTER="$taken of $ADDRESSES e-mail addresses in $first s, then the wall; every attempt on record"
  expect_true "after all of it: $taken of $ADDRESSES addresses" test "$taken" -le 310

  say 'Another team lead, meanwhile, works on.'
  SHOWN_LINES=9
  expect_rows 1 'the other team lead is not affected' team_lead <<SQL
SELECT customer_name, customer_email FROM support.ticket WHERE ticket_id = '$KNOWN_ID';
SQL
  expect_text "$KNOWN_EMAIL" 'the other team lead still sees plaintext'
}

story_superuser() {
  step 5 'A superuser without a grant'
  expect_error 42501 'detokenize is refused' postgres <<'SQL'
SELECT redoubt.detokenize(customer_email) FROM support.ticket LIMIT 1;
SQL
  expect_rows 2 'reveal = auto shows what is granted: nothing' postgres <<'SQL'
SET redoubt.reveal = 'auto';
SELECT customer_name, customer_email FROM support.ticket LIMIT 2;
SQL
  expect_no_plaintext 'the superuser sees tokens'
  expect_error 55P02 'superuser_access cannot be turned on in a session' postgres <<'SQL'
SET redoubt.superuser_access = on;
SQL
  say 'A superuser can grant the privilege, also to oneself.  The auditor will see it.'
  expect_rows 1 'a grant works, for superusers too' postgres <<'SQL'
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO postgres;
SELECT redoubt.detokenize(customer_email) FROM support.ticket LIMIT 1;
REVOKE EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) FROM postgres;
SQL
}

# doctor FILE: in the audit record of the rogue's 300 addresses, makes 300 to 100.
# One byte; size and time of the file stay.
doctor() {
  perl -e 'use strict;
           my ($mtime) = (stat $ARGV[0])[9];
           open(my $file, "+<:raw", $ARGV[0]) or die; my $all = do { local $/; <$file> };
           $all =~ /"name":"rogue"[^\n]*"event":"reveal"[^\n]*"count":(3)00\b/ or die "no such record\n";
           seek($file, $-[1], 0); print $file "1"; close($file) or die; utime($mtime, $mtime, $ARGV[0])' "$1"
}

story_auditor() {
  step 6 'The auditor'
  say 'Who revealed how much, and who was stopped?'
  SHOWN_LINES=20
  expect_ok 'the trail says who revealed how much' auditor <<'SQL'
SELECT session_user_name AS who, operation, token_type, sum(count) FILTER (WHERE event = 'reveal') AS "values",
       count(*) FILTER (WHERE event = 'throttle') AS paced, count(*) FILTER (WHERE outcome = 'denied') AS refused
FROM redoubt.audit WHERE event IN ('reveal', 'throttle', 'block', 'denial')
GROUP BY 1, 2, 3 ORDER BY 4 DESC NULLS LAST, 6 DESC;
SQL
  expect_true "the rogue's 300 addresses are in it" grep -q '^ rogue .* 300 |' "$OUT"
  expect_rows 6 "the rogue's first hour, event by event" auditor <<'SQL'
SELECT to_char("time", 'HH24:MI:SS') AS at, event, outcome, operation, token_type, count, detail
FROM redoubt.audit WHERE session_user_name = 'rogue' ORDER BY sequence LIMIT 6;
SQL
  expect_rows 2 'the superuser who granted it to oneself is there' auditor <<'SQL'
SELECT to_char("time", 'HH24:MI:SS') AS at, session_user_name AS who, operation, split_part(detail, ' was ', 1) AS privileges
FROM redoubt.audit WHERE event = 'grant' AND detail LIKE '%,postgres=X/%';
SQL
  expect_ok 'usage counts tokens too: the dumps stand out' auditor <<'SQL'
SELECT role, token_type, operation, charged, remaining, blocked FROM redoubt.usage
WHERE role = 'rogue'::regrole ORDER BY charged DESC;
SQL
  expect_true 'four columns of every row, twice' grep -q "| read  *| *$((2 * (CUSTOMERS + 1))) |" "$OUT"
  local folder trail=$WORKSPACE/trail
  folder=$(ask "SELECT current_setting('data_directory') || '/redoubt_audit'")
  cat "$folder"/*.jsonl "$WORKSPACE/server/log" >"$trail"
  : >"$ERR"
  expect_no_plaintext "neither the trail nor the server's log holds plaintext" "$trail"
  expect_error 42501 'the rogue employee cannot read the trail' rogue <<<'SELECT * FROM redoubt.audit;'
  expect_ok 'the chain can be verified' auditor <<<'SELECT * FROM redoubt.verify_audit();'
  expect_true 'the chain is whole' grep -q '^ t ' "$OUT"

  say "Someone with access to the files makes the rogue's 300 addresses 100: one byte."
  local segment=$folder/segment-0000000001.jsonl
  cp -p "$segment" "$WORKSPACE/segment" || die 'there is no audit trail to change'
  expect_true 'one byte is changed' doctor "$segment"
  expect_ok 'the chain is verified once more' auditor <<<'SELECT * FROM redoubt.verify_audit();'
  expect_true 'the doctored record is found' grep -q '^ f .* altered' "$OUT"
  cat "$WORKSPACE/segment" >"$segment" # as it was: the story goes on
  SHOWN_LINES=9
}

story_restore() {
  step 7 'Dump and restore into a second database'
  local dump=$WORKSPACE/support.sql
  expect_true 'the database is dumped' shell pg_dump --file="$dump" support
  : >"$OUT"
  expect_no_plaintext 'the dump holds tokens only' "$dump"
  DATABASE=postgres ask 'CREATE DATABASE support_copy' >/dev/null
  expect_true 'it restores without an error' \
    shell psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file="$dump" support_copy
  show_first "$ERR"

  local digest='SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C")) FROM support.ticket t;'
  local here
  expect_ok 'a digest of all rows with their tokens' postgres <<<"$digest"
  here=$(cat "$OUT")
  DATABASE=support_copy
  expect_ok 'a digest of the copy' postgres <<<"$digest"
  expect_true 'both digests are the same' test "$here" = "$(cat "$OUT")"
  expect_rows 1 'the granted role reads there' team_lead <<SQL
SELECT ticket_id, customer_name, customer_email FROM support.ticket WHERE customer_email = '$KNOWN_EMAIL';
SQL
  expect_text "$KNOWN_EMAIL" 'the granted role sees plaintext there'
  expect_rows 1 'the agent reads there' agent <<SQL
SELECT ticket_id, customer_name, customer_email FROM support.ticket WHERE ticket_id = '$KNOWN_ID';
SQL
  expect_no_plaintext 'the agent sees masks there'
  DATABASE=support
}

# story_moral: both thefts, side by side.
story_moral() {
  heading 'The theft'
  note "before:       $BEFORE"
  note "with Redoubt: $AFTER"
}
