# cluster.pl - Redoubt on a Citus cluster of a coordinator and two workers, and a third one that comes later.
#
# Values are opened, and charged for, at the node that the client is connected to; workers have neither keys nor grants,
# and see tokens.  Needs Citus in the PostgreSQL that pg_config names; test/citus/run looks.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin", "$FindBin::RealBin/../tap/lib";
use CitusCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = CitusCluster->make(2, 'citus,redoubt');
my $coordinator = $cluster->coordinator;
my ($worker) = $cluster->workers;

# ---- starting, stopping, installing
for my $node ($cluster->nodes) {
  $node->restart;
  is($node->admin('SELECT 1'), '1', $node->name . ' starts again');
}
$coordinator->people;
is($coordinator->admin(q{SELECT count(*) FROM run_command_on_workers('SELECT extversion FROM pg_extension WHERE extname = $$redoubt$$') WHERE success}),
  '2', 'CREATE EXTENSION reaches the workers');
$coordinator->admin(<<~'SQL');
  SELECT redoubt.create_key('default') WHERE NOT EXISTS (SELECT FROM redoubt.key);
  GRANT EXECUTE ON FUNCTION redoubt.search(redoubt.email_token) TO regress_lead;
  CREATE TABLE customer (email redoubt.email_token PRIMARY KEY, id integer, phone redoubt.phone_token, note text, plain text);
  CREATE TABLE ticket (email redoubt.email_token, number integer, subject text);
  CREATE TABLE vip (email redoubt.email_token PRIMARY KEY, level integer);
  CREATE TABLE staging (email text, id integer);
  SECURITY LABEL FOR redoubt ON COLUMN customer.note IS 'redoubt.text_token';  -- before it is distributed: shards get it, too
  SELECT create_distributed_table('customer', 'email');
  SELECT create_distributed_table('ticket', 'email', colocate_with => 'customer');
  SELECT create_reference_table('vip');
  GRANT SELECT, INSERT, UPDATE, DELETE ON customer, ticket, vip, staging TO regress_lead, regress_agent, regress_clerk;
  GRANT CREATE ON SCHEMA public TO regress_clerk;
  REVOKE EXECUTE ON FUNCTION run_command_on_workers, run_command_on_all_nodes, run_command_on_coordinator, run_command_on_shards,
    run_command_on_placements, run_command_on_colocated_placements, master_run_on_worker FROM PUBLIC;
  SQL
is($worker->admin('SELECT count(*) FROM redoubt.key'), '0', 'a worker has no keys');
is($worker->admin(q{SELECT label FROM pg_seclabels WHERE objoid = 'customer'::regclass}), 'redoubt.text_token', 'and knows the label');

# ---- writing: tokenized at the coordinator
$cluster->costs('regress_lead', q{INSERT INTO customer (email, id, phone, note)
  SELECT 'p' || i || '@example.com', i, '+1202555' || 1000 + i, 'note ' || i FROM generate_series(1, 1000) i}, 'tokenize=2000', 'INSERT SELECT of texts');
$cluster->costs('regress_lead', q{INSERT INTO vip VALUES ('p1@example.com', 1), ('p2@example.com', 2)}, 'tokenize=2', 'literals, into a reference table');
$cluster->costs('regress_lead', "COPY ticket FROM STDIN;\np1\@example.com\t1\ta\np1\@example.com\t2\tb\np2\@example.com\t3\tc\n\\.\n", 'tokenize=2', 'COPY, where equal values follow each other');
$cluster->ask('regress_lead', q{INSERT INTO staging VALUES ('s1@example.com', 2001), ('s2@example.com', 2002)});
$cluster->costs('regress_lead', 'INSERT INTO customer (email, id) SELECT email::redoubt.email_token, id FROM staging', 'tokenize=2', 'from a local table');
$cluster->costs('regress_lead', q{PREPARE p(text, integer) AS INSERT INTO customer (email, id) VALUES ($1, $2); EXECUTE p('s3@example.com', 2003)},
  'tokenize=1', 'by parameter');
is($cluster->costs('regress_lead', q{DELETE FROM customer WHERE id > 2000; SELECT count(*) FROM customer}, '', 'a count of rows costs nothing'), '1000', 'all there');

# The same, not distributed.
$coordinator->admin(<<~'SQL');
  CREATE SCHEMA here;
  CREATE TABLE here.customer AS SELECT * FROM customer;
  CREATE TABLE here.ticket AS SELECT * FROM ticket;
  CREATE TABLE here.vip AS SELECT * FROM vip;
  SECURITY LABEL FOR redoubt ON COLUMN here.customer.note IS 'redoubt.text_token';
  GRANT USAGE ON SCHEMA here TO regress_lead, regress_clerk;
  GRANT SELECT ON here.customer, here.ticket, here.vip TO regress_lead, regress_clerk;
  SQL

# ---- looking up, joining
is($cluster->costs('regress_lead', q{SELECT id FROM customer WHERE email = 'p7@EXAMPLE.com'}, 'probe=3 tokenize=1', 'by literal'), '7', 'a look-up by literal');
is($cluster->costs('regress_lead', q{PREPARE p(text) AS SELECT id FROM customer WHERE email = $1; EXECUTE p('p7@example.com')}, 'probe=3 tokenize=1',
  'by parameter'), '7', 'a look-up by parameter');
is($cluster->ask('regress_lead', q{SELECT id FROM customer WHERE email IN ('p7@example.com', 'p8@example.com') ORDER BY id}), "7\n8", 'by a list');
is($cluster->ask('regress_clerk', 'SELECT count(*) FROM customer JOIN ticket USING (email)'), '3', 'a co-located join');
is($cluster->ask('regress_clerk', 'SELECT count(*) FROM customer JOIN vip USING (email)'), '2', 'a join with a reference table');
is($cluster->ask('regress_clerk', 'SELECT count(DISTINCT email) FROM ticket'), '2', 'different tokens');

# ---- opening: at the coordinator, charged once
my @opened = (
  [ 'SELECT redoubt.detokenize(email) FROM customer WHERE id = 4', 'p4@example.com', 'reveal=1', 'detokenize()' ],
  [ 'SELECT redoubt.mask(email) FROM customer WHERE id = 4', 'p•••@example.com', 'masked=1', 'mask()' ],
  [ q{SET redoubt.reveal = 'plain'; SELECT email FROM customer WHERE id = 4}, 'p4@example.com', 'reveal=1', 'the output function' ],
  [ q{SET redoubt.reveal = 'plain'; SELECT email::text FROM customer WHERE id = 4}, 'p4@example.com', 'reveal=1', 'a cast' ],
  [ q{SET redoubt.reveal = 'plain'; SELECT 'to: ' || email FROM customer WHERE id = 4}, 'to: p4@example.com', 'reveal=1', '||' ],
  [ q{SET redoubt.reveal = 'plain'; SELECT upper(email) FROM customer WHERE id = 4}, 'P4@EXAMPLE.COM', 'reveal=1', 'a function of text' ],
  [ q{SET redoubt.reveal = 'plain'; SELECT email FROM customer WHERE id < 4 ORDER BY email DESC LIMIT 1}, 'p3@example.com', 'reveal=1', 'ORDER BY value' ],
  [ q{SET redoubt.reveal = 'plain'; SELECT json_agg(email ORDER BY id) FROM customer WHERE id < 3}, '["p1@example.com", "p2@example.com"]', 'reveal=2', 'json_agg' ],
  [ 'SELECT redoubt.detokenize(email), count(*) FROM ticket GROUP BY email ORDER BY 2', "p2\@example.com|1\np1\@example.com|2", 'reveal=2', 'a group' ],
  [ 'SELECT redoubt.detokenize(vip.email) FROM vip WHERE level = 1', 'p1@example.com', 'reveal=1', 'a reference table' ],
  [ q{SELECT id FROM customer WHERE lower(email) = 'p7@example.com'}, '7', 'probe=1', 'a condition on the value' ],
  [ q{SELECT count(*) FROM customer WHERE email LIKE 'p9%'}, '111', 'probe=1', 'LIKE' ],
  [ q{PREPARE p(integer) AS SELECT redoubt.detokenize(email) FROM customer WHERE id = $1; } . 'EXECUTE p(4); ' x 8, join("\n", ('p4@example.com') x 8),
    'reveal=8', 'a prepared statement, more often than plans are custom' ],
  [ 'BEGIN; DECLARE c SCROLL CURSOR FOR SELECT redoubt.detokenize(email) FROM customer WHERE id < 4 ORDER BY id; FETCH 2 FROM c; FETCH BACKWARD 1 FROM c; COMMIT',
    "p1\@example.com\np2\@example.com\np1\@example.com", 'reveal=3', 'a cursor that goes back' ],
  [ 'COPY (SELECT redoubt.detokenize(email) FROM customer WHERE id = 4) TO STDOUT', 'p4@example.com', 'reveal=1', 'COPY of a query' ],
  [ 'CREATE TEMP TABLE x AS SELECT redoubt.detokenize(email) FROM customer WHERE id = 4; SELECT * FROM x', 'p4@example.com', 'reveal=1', 'CREATE TABLE AS' ],
  [ 'WITH c AS MATERIALIZED (SELECT email FROM customer WHERE id = 4) SELECT redoubt.detokenize(email) FROM c', 'p4@example.com', 'probe=2 read=1 reveal=1', 'over a WITH, whose rows are charged on their way, too' ],
  [ 'SELECT redoubt.detokenize(email) FROM (SELECT email FROM customer ORDER BY id LIMIT 2) s', "p1\@example.com\np2\@example.com", 'probe=4 read=2 reveal=2', 'over a subquery' ],
);
for my $case (@opened) {
  my ($sql, $answer, $cost, $title) = @{$case};
  my $got = $cluster->costs_as_here('regress_lead', $sql, $cost, $title);
  is($got, $answer, "$title: opened");
}
$coordinator->admin(q{SELECT redoubt.set_limit('regress_lead', 'redoubt.phone_token', 'reveal', 10, '1 day', on_excess => 'block')});
$cluster->fails_with('regress_lead', 'SELECT redoubt.detokenize(phone) FROM customer', '53400', qr/limit on reveal/, 'a limit of 10 ends 1,000');
is($cluster->charged($coordinator, 'regress_lead')->{reveal} > 0, 1, 'after some');
like($cluster->ask('regress_clerk', 'SELECT email FROM customer WHERE id = 1'), qr/^tok_/, 'who may not reveal gets tokens');
$cluster->fails_with('regress_clerk', 'SELECT redoubt.detokenize(email) FROM customer WHERE id = 1', '42501', qr/detokenize/, 'and is refused');
$cluster->fails_with('regress_clerk', q{SELECT id FROM customer WHERE lower(email) = 'p1@example.com'}, '42501', qr/search/, 'a search, too');
for my $sql ('SELECT * FROM (SELECT redoubt.detokenize(email) FROM customer) s', 'SELECT redoubt.detokenize(email) FROM customer UNION ALL SELECT plain FROM customer',
  'WITH c AS (SELECT redoubt.detokenize(email) AS e FROM customer) SELECT e FROM c', 'SELECT a FROM (SELECT array_agg(note) AS a FROM customer) s',
  'SELECT c.id FROM customer c JOIN ticket t ON c.email = t.email AND lower(c.email) = t.subject') {
  $cluster->fails_with('regress_lead', $sql, '0A000', qr/outermost SELECT/, "refused: $sql");
}

# ---- labelled columns: charged like local ones
my @labelled = (
  [ 'SELECT note FROM customer WHERE id = 4', 'note 4', 'read=1', 'a column' ],
  [ 'SELECT count(*) FROM (SELECT note FROM customer ORDER BY id LIMIT 20) s', '20', 'probe=3 read=20', 'rows that do not leave' ],
  [ 'SELECT note FROM customer ORDER BY id LIMIT 2', "note 1\nnote 2", 'read=2', 'rows that do' ],
  [ 'SELECT string_agg(note, $$,$$) FROM customer WHERE id IN (4, 5)', qr/^note [45],note [45]$/, 'read=2', 'many values in one' ],
  [ 'SELECT id % 2, array_agg(note) FROM customer WHERE id < 5 GROUP BY 1 ORDER BY 1', qr/note 2.*\n.*note 3/, 'read=4', 'arrays' ],
  [ 'SELECT id FROM customer WHERE id = 4', '4', '', 'none of it' ],
  [ 'SELECT count(*) FROM customer WHERE note LIKE $$%7$$', '100', 'probe=3', 'a condition' ],
  [ 'SELECT id FROM customer WHERE note = $$note 4$$', '4', 'probe=3', 'a look-up' ],
  [ 'SELECT max(note) FROM customer', 'note 999', 'read=3', 'the greatest' ],
  [ 'SELECT count(DISTINCT note) FROM customer', '1000', 'probe=3', 'a count of different ones' ],
  [ 'SELECT id FROM customer ORDER BY note DESC LIMIT 1', '999', 'probe=3', 'an order' ],
  [ 'SELECT note, count(*) FROM customer WHERE id < 3 GROUP BY note ORDER BY 1', "note 1|1\nnote 2|1", 'probe=4 read=2', 'groups' ],
  [ 'SELECT upper(note) FROM customer WHERE id = 4', 'NOTE 4', 'read=3', 'a function' ],
  [ 'SELECT c.note FROM customer c JOIN ticket t USING (email) WHERE t.number = 3', 'note 2', 'probe=3 read=1', 'a join' ],
  [ 'SELECT note FROM customer WHERE id < 3 UNION ALL SELECT subject FROM ticket WHERE number = 3 ORDER BY 1', "c\nnote 1\nnote 2", 'probe=9 read=5', 'a union' ],
  [ 'SELECT length(note) FROM customer WHERE id = 4', '6', 'read=3', 'a length' ],
  [ 'SELECT array_agg(id) FROM customer WHERE note LIKE $$%77$$', qr/^\{[\d,]+\}$/, 'probe=30', 'rows kept that a condition chose' ],
  [ 'SELECT string_agg(id::text, $$,$$) FILTER (WHERE note LIKE $$%77$$) FROM customer', qr/^[\d,]+$/, 'probe=1000', 'by FILTER' ],
  [ 'SELECT sum(id::numeric) FROM customer WHERE note LIKE $$%77$$', '5270', 'probe=30', 'in a number without an end' ],
  [ 'SELECT id FROM customer WHERE to_tsvector($$simple$$, note) @@ $$77$$::tsquery', '77', 'probe=1', 'a text search' ],
);
for my $case (@labelled) {
  my ($sql, $answer, $cost, $title) = @{$case};
  my $got = $cluster->costs_as_here('regress_clerk', $sql, $cost, "labelled, $title");
  ref $answer ? like($got, $answer, "$title: the answer") : is($got, $answer, "$title: the answer");
}
$cluster->fails_with('regress_clerk', 'UPDATE customer SET plain = note', '0A000', qr/copy protected values/, 'a copy to a column that is not protected is refused');
$cluster->fails_with('regress_clerk', 'INSERT INTO ticket (email, subject) SELECT email, note FROM customer', '0A000', qr/copy protected values/, 'and by INSERT');
$cluster->fails_with('regress_clerk', 'SELECT note::integer FROM customer WHERE id = 4', '22P02', qr/note 4/, 'an error of a worker quotes a value');
$cluster->ask('regress_clerk', q{CREATE FUNCTION leak(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE $$%$$, $1; RETURN $1; END'});
is($cluster->costs('regress_clerk', 'SELECT count(leak(note)) FROM customer WHERE id < 4', 'read=3', 'a function that is not trusted is called at the coordinator'), '3', 'after its meter');
$coordinator->admin(q{CREATE FUNCTION calm(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END'});
$cluster->fails_with('regress_clerk', 'UPDATE customer SET plain = $$x$$ WHERE calm(note) IS NULL', '0A000', qr/hand them to functions/, 'in a command it is refused');

# ---- who is a node
my $shard = $coordinator->admin(q{SELECT shard_name FROM citus_shards WHERE table_name = 'customer'::regclass AND nodeport = } . $worker->port . ' ORDER BY 1 LIMIT 1');
is($worker->admin("SELECT label FROM pg_seclabel WHERE objoid = '$shard'::regclass"), 'redoubt.text_token', 'a shard has the label');
my $before = $cluster->charged($worker, 'regress_clerk')->{read} // 0;
$cluster->ask('regress_clerk', "SELECT email FROM $shard LIMIT 5", node => $worker, application => 'citus_internal gpid=10000000001');
is(($cluster->charged($worker, 'regress_clerk')->{read} // 0) - $before, 5, 'a client that calls itself a node is charged');
$cluster->fails_with('regress_clerk', "SELECT run_command_on_workers('SELECT 1')", '42501', qr/permission denied/, 'commands on workers are the admin\'s');
$coordinator->admin('GRANT EXECUTE ON FUNCTION run_command_on_placements, master_run_on_worker TO regress_clerk');
$before = $cluster->charged($worker, 'regress_clerk')->{read} // 0;
$cluster->ask('regress_clerk', q{SELECT run_command_on_placements('customer', 'SELECT array_agg(email) FROM %s')});
my $some = ($cluster->charged($worker, 'regress_clerk')->{read} // 0) - $before;
ok($some > 100, 'what a user has a worker do by command is charged there') or diag "charged: $some";
$before = $cluster->charged($worker, 'regress_clerk')->{read} // 0;
$cluster->ask('regress_clerk', q{SELECT run_command_on_placements('customer', 'SET application_name = $$citus_internal gpid=10000000001$$; SELECT array_agg(email) FROM %s')});
ok(($cluster->charged($worker, 'regress_clerk')->{read} // 0) - $before > 100, 'whatever it calls itself then');
$coordinator->admin('REVOKE EXECUTE ON FUNCTION run_command_on_placements, master_run_on_worker FROM regress_clerk');
# A function that Citus calls on a worker is charged there, and by the limits there.
my $key = $cluster->ask('regress_clerk', 'SELECT email FROM customer WHERE id = 7');
for my $made ('all_notes(k redoubt.email_token) RETURNS SETOF text LANGUAGE sql STABLE AS $f$SELECT note FROM customer LIMIT 50$f$',
  'some_notes(k redoubt.email_token) RETURNS SETOF text LANGUAGE plpgsql AS $f$BEGIN RETURN QUERY SELECT note FROM customer LIMIT 50; END$f$') {
  my ($name) = $made =~ /^(\w+)/;
  $cluster->ask('regress_clerk', "CREATE FUNCTION $made; SELECT create_distributed_function('$name(redoubt.email_token)', 'k', colocate_with => 'customer')");
  my ($answer, $cost) = $cluster->cost('regress_clerk', "SELECT $name('$key')");
  my ($read) = $cost =~ /worker\d read=(\d+)/;
  ok(split(/\n/, $answer) == 50 && ($read // 0) >= 50, "what $name() reads on a worker is charged there") or diag $cost;
}
$_->admin(q{SELECT redoubt.set_limit('regress_clerk', 'redoubt.text_token', 'read', 10, '1 day', on_excess => 'block')}) for $cluster->workers;
$cluster->fails_with('regress_clerk', "SELECT some_notes('$key')", '53400', qr/limit on read/, 'by a limit of the worker');

is($worker->admin('SELECT coalesce(sum(charged), 0) FROM redoubt.usage WHERE role_name = $$regress_lead$$'), '0', 'and nothing that came from the coordinator');
like($worker->admin("SET redoubt.reveal = 'auto'; SELECT email FROM $shard LIMIT 1"), qr/^tok_/, 'a node is shown tokens');

# ---- own token types: made on every node, before a table has one
my $make = q{SET citus.enable_ddl_propagation = off; SELECT redoubt.create_token_type('account', pattern => '^A[0-9]+$');
  SELECT redoubt.create_token_type('card', method => 'fpe', format => 'card', mask => 'keep_last(4)')};
$coordinator->admin($make);
$coordinator->admin('GRANT EXECUTE ON FUNCTION redoubt.export_keys TO CURRENT_USER');
my $export = $coordinator->admin(q{SELECT redoubt.export_keys('a long passphrase of several words')});
$worker->admin("SELECT * FROM redoubt.import_keys('$export', 'a long passphrase of several words')");  # before a type makes a key of its own
$_->admin($make) for $cluster->workers;
$coordinator->admin(<<~'SQL');
  INSERT INTO pg_dist_object (classid, objid, objsubid) VALUES ('pg_type'::regclass, 'redoubt.account'::regtype, 0), ('pg_type'::regclass, 'redoubt.card'::regtype, 0);
  CREATE TABLE payment (account redoubt.account, card redoubt.card, id integer);
  SELECT create_distributed_table('payment', 'account');
  GRANT SELECT, INSERT ON payment TO regress_lead;
  GRANT EXECUTE ON FUNCTION redoubt.account(text), redoubt.detokenize(redoubt.account), redoubt.card(text), redoubt.detokenize(redoubt.card) TO regress_lead;
  SQL
$cluster->ask('regress_lead', q{SET redoubt.input = 'plain'; INSERT INTO payment VALUES ('A1', '4111 1111 1111 1111', 1), ('A2', '5500000000000004', 2)});
is($cluster->ask('regress_lead', 'SELECT redoubt.detokenize(account), redoubt.detokenize(card) FROM payment ORDER BY id'),
  "A1|4111 1111 1111 1111\nA2|5500000000000004", 'own types, sealed and format-preserving');
is($cluster->ask('regress_lead', q{SET redoubt.reveal = 'auto'; SELECT id FROM payment WHERE card = '5500000000000004'}), '2', 'found by value');

# ---- a worker that clients connect to borrows from the coordinator: one budget
my $user = getpwuid $>;
$coordinator->admin(q{SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 5, '1000 days')});
$worker->admin('SET citus.enable_ddl_propagation = off; GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_lead');
$worker->set_conf("redoubt.budget_server = 'host=" . $coordinator->host . ' port=' . $coordinator->port . " user=$user'");
$worker->reload;
$worker->poll_query_until('postgres', q{SELECT severity = 'ok' FROM redoubt.status() WHERE item = 'borrowed budget'}) or fail('the coordinator lends');
my $reveal_one = 'SELECT redoubt.detokenize(email) FROM customer WHERE id = 1';
is($cluster->ask('regress_lead', $reveal_one, node => $worker), 'p1@example.com', 'a value at a worker') for 1 .. 3;
is($cluster->ask('regress_lead', $reveal_one), 'p1@example.com', 'and at the coordinator') for 1 .. 2;
$cluster->fails_with('regress_lead', $reveal_one, '53400', qr/limit on reveal/, 'are one budget of five: none is left at the coordinator');
$cluster->fails_with('regress_lead', $reveal_one, '53400', qr/a limit of the server that redoubt\.budget_server names/, 'nor at the worker', node => $worker);
$coordinator->admin(q{SELECT redoubt.drop_limit('regress_lead', 'redoubt.email_token', 'reveal')});
$worker->set_conf(q{redoubt.budget_server = ''});
$worker->reload;
$worker->admin('SET citus.enable_ddl_propagation = off; REVOKE EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) FROM regress_lead');

# ---- a node that comes later
my $third = $cluster->node('worker3');
$third->admin('CREATE EXTENSION redoubt');
$third->admin($make);
my $own = q{FROM pg_dist_object WHERE classid = 'pg_type'::regclass AND objid IN ('redoubt.account'::regtype, 'redoubt.card'::regtype)};
$coordinator->admin("CREATE TABLE own_types AS SELECT classid, objid, objsubid $own; DELETE $own");
$cluster->add($third);
$coordinator->admin('INSERT INTO pg_dist_object (classid, objid, objsubid) SELECT * FROM own_types');
is($third->admin(q{SELECT label FROM pg_seclabels WHERE objoid = 'customer'::regclass}), 'redoubt.text_token', 'extension, table and label reach a new node');
$coordinator->admin(q{SELECT rebalance_table_shards('customer', shard_transfer_mode => 'force_logical')});
$coordinator->admin(q{SELECT rebalance_table_shards('payment', shard_transfer_mode => 'block_writes')});
ok($coordinator->admin(q{SELECT count(*) > 0 FROM citus_shards WHERE table_name = 'customer'::regclass AND nodeport = } . $third->port) eq 't', 'shards move there online');
is($third->admin(q{SELECT count(DISTINCT label) FROM pg_seclabel WHERE objoid::regclass::text ~ '^customer_'}), '1', 'with their labels');
is($cluster->ask('regress_lead', 'SELECT redoubt.detokenize(account), redoubt.detokenize(card) FROM payment ORDER BY id'),
  "A1|4111 1111 1111 1111\nA2|5500000000000004", 'own types open there, too');
is($cluster->costs('regress_lead', 'SELECT redoubt.detokenize(email) FROM customer WHERE id < 4 ORDER BY id', 'reveal=3', 'and cost the same'),
  "p1\@example.com\np2\@example.com\np3\@example.com", 'tokens of moved shards open');
is($cluster->ask('regress_lead', q{SELECT id FROM customer WHERE email = 'p7@example.com'}), '7', 'and are found');

# ---- a client at a worker: with the coordinator's keys, and grants there
$cluster->fails_with('regress_lead', 'SELECT redoubt.detokenize(email) FROM customer WHERE id = 1', '42501', qr/detokenize/, 'a worker opens nothing', node => $worker);
$worker->admin('GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.email_token(text) TO regress_lead');
my $charged = $cluster->charged($worker, 'regress_lead')->{reveal};
is($cluster->ask('regress_lead', 'SELECT redoubt.detokenize(email) FROM customer WHERE id < 3 ORDER BY id', node => $worker), "p1\@example.com\np2\@example.com",
  'with keys and grants it does');
is($cluster->charged($worker, 'regress_lead')->{reveal} - $charged, 2, 'and charges there');

# ---- tables that Citus makes anew keep their labels; an owner who is no admin cannot have that done
$coordinator->admin(q{SELECT alter_distributed_table('customer', shard_count => 6, cascade_to_colocated => true)});
is($cluster->costs('regress_lead', 'SELECT redoubt.detokenize(email), note FROM customer WHERE id = 4', 'read=1 reveal=1', 'other shards cost the same'),
  'p4@example.com|note 4', 'and hold the same');
$coordinator->admin(q{CREATE TABLE owned (id integer PRIMARY KEY, note text); SECURITY LABEL FOR redoubt ON COLUMN owned.note IS 'redoubt.text_token';
  SELECT create_distributed_table('owned', 'id'); ALTER TABLE owned OWNER TO regress_clerk});
$cluster->fails_with('regress_clerk', q{SELECT undistribute_table('owned')}, '42501', qr/labels/, 'an owner does not lose a label so');
$coordinator->admin(q{SELECT undistribute_table('owned')});
is($coordinator->admin(q{SELECT label FROM pg_seclabels WHERE objoid = 'owned'::regclass}), 'redoubt.text_token', 'a table that is undistributed keeps it');

# ---- what workers were sent
for my $node ($cluster->workers) {
  my $log = $node->log_text;
  ok($log !~ /p\d+\@example\.com/i, 'no value in the statements sent to ' . $node->name);
  ok($log =~ /tok_[A-Za-z0-9_-]+/, 'but tokens') if $node != $third;
  ok($log !~ /PANIC|was terminated by signal|TRAP:/, 'no crash of ' . $node->name);
}
ok($coordinator->log_text !~ /PANIC|was terminated by signal|TRAP:/, 'nor of the coordinator');
is($_->verdict, 't', 'the trail of ' . $_->name . ' verifies') for $cluster->nodes;
$_->stop for reverse $cluster->nodes;

done_testing();
