# shellcheck shell=bash disable=SC2034  # stage.sh reads DATABASE
# story.sh - the seven steps of the demonstration, one function each, in order.
#
# The story: a support employee with valid credentials reads the customers'
# records over weeks and sells them.  First as it happened, then with Redoubt.
# Needs stage.sh, CSV (the file of customers) and ROOT.

# What one customer looks like, for look-ups; chosen by story_data.
KNOWN_ID='' KNOWN_EMAIL='' KNOWN_NAME=''
CUSTOMERS=0

# story_data: creates the database of the time before, and remembers its plaintext.
story_data() {
  DATABASE=postgres ask 'CREATE DATABASE support' >/dev/null
  say 'The application: one table, three groups of users, an index for look-ups by e-mail.'
  sql_file postgres schema.sql
  [[ -z $SQLSTATE ]] || die 'the schema could not be created'
  as_user "$PG_BIN/psql" -X -q -U support_owner -d support -v ON_ERROR_STOP=1 \
    -c '\copy support.ticket FROM STDIN (FORMAT csv, HEADER)' <"$CSV" || die "cannot load $CSV"
  CUSTOMERS=$(ask 'SELECT count(*) FROM support.ticket')
  note "$CUSTOMERS customers loaded"

  ask "SELECT DISTINCT v FROM support.ticket, unnest(ARRAY[customer_name, customer_email, customer_phone]) v
       WHERE length(v) > 6 AND v ~ '[ @-]'" >"$SECRETS"
  ask 'SELECT DISTINCT customer_email FROM support.ticket' | sort >"$SECRETS.email"
  [[ $(wc -l <"$SECRETS") -gt $CUSTOMERS ]] || die 'the data holds too little to look for'
  local known
  known=$(ask "SELECT min(ticket_id), customer_email, min(customer_name) FROM support.ticket
               GROUP BY customer_email HAVING count(*) = 1 ORDER BY 1 OFFSET 41 LIMIT 1")
  IFS='|' read -r KNOWN_ID KNOWN_EMAIL KNOWN_NAME <<<"$known"
}

story_breach() {
  step 1 'The breach as it happened: plaintext, and a valid login'
  say 'The employee copies every record.  Nothing stops it, nothing counts it.'
  expect_ok 'the employee copies the table' rogue <<'SQL'
COPY (SELECT customer_name, customer_email, customer_phone FROM support.ticket) TO STDOUT;
SQL
  local taken
  taken=$(harvested)
  note "$taken e-mail addresses taken in $SECONDS_TAKEN s"
  expect_true "everyone's address is taken ($taken)" test "$taken" = "$(wc -l <"$SECRETS.email")"
  : >"$HARVEST"
}

story_protect() {
  step 2 'The columns become token types'
  expect_ok 'the extension is installed' postgres <<<'CREATE EXTENSION redoubt;'
  expect_ok 'four columns become tokens by ALTER TABLE' postgres < <(cat "$ROOT/demo/protect.sql")
  note "$CUSTOMERS rows, four columns: $SECONDS_TAKEN s"
  expect_ok 'privileges are plain GRANTs' postgres < <(cat "$ROOT/demo/grants.sql")
  expect_rows 3 'what is stored now' postgres <<'SQL'
SELECT ticket_id, customer_email, status FROM support.ticket LIMIT 3;
SQL
  expect_no_plaintext 'the table shows tokens'
}

story_application() {
  step 3 "The application's own queries, unchanged, under redoubt.reveal = auto"
  say 'The agent looks a customer up by e-mail, and sees what an agent may see.'
  expect_rows 1 'the agent finds the customer' agent <<SQL
SELECT ticket_id, customer_name, customer_email, status FROM support.ticket WHERE customer_email = '$KNOWN_EMAIL';
SQL
  expect_no_plaintext 'name and e-mail are masked'
  expect_text '•' 'with the mask character'
  expect_text "$KNOWN_ID" 'the ticket number, granted to everyone, is plain'

  say 'A masked value that the application writes back is an error, never data loss.'
  expect_error '22???' 'the masked value is refused' agent <<SQL
UPDATE support.ticket SET customer_email = 'a•••@example.com' WHERE ticket_id = '$KNOWN_ID';
SQL

  say 'The team lead runs the same query.'
  expect_rows 1 'the team lead finds the customer' team_lead <<SQL
SELECT ticket_id, customer_name, customer_email, status FROM support.ticket WHERE customer_email = '$KNOWN_EMAIL';
SQL
  expect_text "$KNOWN_EMAIL" 'the e-mail is plain'
  expect_text "$KNOWN_NAME" 'the name is plain'

  expect_ok 'a new customer is entered as ever' team_lead <<'SQL'
INSERT INTO support.ticket VALUES ('TM-9999999', 'Łucja Example', 'lucja.example@example.org', '+44 20 7946 0958',
    'Roomba Robot', 'Product setup', 'Open', 'Low', 'Email', '2026-01-15')
RETURNING ticket_id, customer_name, customer_email, customer_phone;
SQL
  expect_text 'lucja.example@example.org' 'RETURNING shows what SELECT would'

  say 'The look-up folds to a token and uses the index.'
  expect_ok 'the plan of the look-up' team_lead <<SQL
EXPLAIN (COSTS OFF) SELECT * FROM support.ticket WHERE customer_email = '$KNOWN_EMAIL';
SQL
  expect_text 'ticket_customer_email' 'look-up by e-mail uses the index'
  expect_no_plaintext 'the plan holds no plaintext'
}

story_rogue() {
  step 4 'The rogue employee: granted plaintext, and a limit'
  expect_ok 'the limits' postgres < <(cat "$ROOT/demo/limits.sql")

  say 'A dump of the table is useless.'
  expect_ok 'COPY table runs' rogue <<<'COPY support.ticket TO STDOUT;'
  expect_no_plaintext 'and gives tokens'

  say 'A loop over detokenize: a hundred at once, then paced, then the wall.'
  expect_error 53400 'the loop is blocked' rogue <<'SQL'
COPY (SELECT redoubt.detokenize(customer_email) FROM support.ticket) TO STDOUT;
SQL
  local taken first=$SECONDS_TAKEN
  taken=$(harvested)
  note "$taken addresses of $CUSTOMERS in $first s"
  expect_true 'it was paced: more than a second and a half' test "${first/./}" -gt 150
  expect_true "no more than the limit came out ($taken)" test "$taken" -le 310

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
  expect_error 53400 'COPY (query): blocked' rogue <<'SQL'
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
  taken=$(harvested)
  expect_true "after all of it: $taken of $CUSTOMERS addresses" test "$taken" -le 310

  say 'The team lead, meanwhile, works on.'
  expect_rows 1 'the team lead is not affected' team_lead <<SQL
SELECT customer_name, customer_email FROM support.ticket WHERE ticket_id = '$KNOWN_ID';
SQL
  expect_text "$KNOWN_EMAIL" 'and still sees plaintext'
}

story_superuser() {
  step 5 'A superuser without a grant'
  expect_error 42501 'detokenize is refused' postgres <<'SQL'
SELECT redoubt.detokenize(customer_email) FROM support.ticket LIMIT 1;
SQL
  expect_rows 2 'auto shows what is granted: tokens' postgres <<'SQL'
SET redoubt.reveal = 'auto';
SELECT customer_name, customer_email FROM support.ticket LIMIT 2;
SQL
  expect_no_plaintext 'the superuser sees tokens'
  expect_error '55P02' 'superuser_access cannot be turned on in a session' postgres <<'SQL'
SET redoubt.superuser_access = on;
SQL
}

# flip_byte FILE: changes one digit or letter in the middle of FILE, keeping its size.
flip_byte() {
  perl -e 'open(my $f, "+<:raw", $ARGV[0]) or die; my $all = do { local $/; <$f> };
           pos($all) = int(length($all) / 2); $all =~ /\G.*?"[a-z_]+":"?([a-z0-9])/gcs or die;
           seek($f, $-[1], 0); print $f ($1 eq "1" ? "2" : "1"); close($f) or die' "$1"
}

story_auditor() {
  step 6 'The auditor'
  expect_ok 'who revealed what' auditor <<'SQL'
SELECT session_user_name, token_type, operation, outcome, count(*) AS events, sum(count) AS "values"
FROM redoubt.audit WHERE event IN ('reveal', 'throttle', 'block', 'denial')
GROUP BY 1, 2, 3, 4 ORDER BY 6 DESC NULLS LAST;
SQL
  expect_text rogue 'the rogue employee is in the trail'
  expect_no_plaintext 'the trail holds no plaintext'
  expect_error 42501 'the rogue employee cannot read it' rogue <<<'SELECT * FROM redoubt.audit;'
  expect_ok 'the chain is verified' auditor <<<'SELECT * FROM redoubt.verify_audit();'

  say 'Someone with access to the files changes one byte in the middle of the trail.'
  local folder segment
  folder=$(ask "SELECT current_setting('data_directory') || '/' || current_setting('redoubt.audit_directory')" || true)
  segment=$({ find "$folder" -type f -printf '%s\t%p\n' || true; } | sort -rn | head -n 1 | cut -f 2)
  cp -p "$segment" "$WORKSPACE/segment" || die 'there is no audit trail to change'
  expect_true 'one byte is changed' flip_byte "$segment"
  expect_ok 'the chain is verified again' auditor <<<'SELECT * FROM redoubt.verify_audit();'
  expect_text broken 'the broken record is found'
  cat "$WORKSPACE/segment" >"$segment" # as it was: the story goes on
}

story_restore() {
  step 7 'Dump and restore into a second database'
  local dump=$WORKSPACE/support.sql
  expect_true 'the database is dumped' as_user "$PG_BIN/pg_dump" -f "$dump" support
  expect_no_plaintext 'the dump holds tokens only' "$dump"
  DATABASE=postgres ask 'CREATE DATABASE support_copy' >/dev/null
  expect_true 'it restores without an error' \
    as_user "$PG_BIN/psql" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d support_copy -f "$dump"
  local digest='SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C")) FROM support.ticket t'
  expect_true 'the tokens are the same' test "$(ask "$digest")" = "$(DATABASE=support_copy ask "$digest")"
  DATABASE=support_copy
  expect_rows 1 'the granted role reads there' team_lead <<SQL
SELECT ticket_id, customer_name, customer_email FROM support.ticket WHERE customer_email = '$KNOWN_EMAIL';
SQL
  expect_text "$KNOWN_EMAIL" 'in plaintext'
  expect_rows 1 'the agent reads there' agent <<SQL
SELECT ticket_id, customer_name, customer_email FROM support.ticket WHERE ticket_id = '$KNOWN_ID';
SQL
  expect_no_plaintext 'masked'
  DATABASE=support
}
