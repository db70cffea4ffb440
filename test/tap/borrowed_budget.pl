# borrowed_budget.pl - proves that a primary and two standbys share one budget by redoubt.budget_server: over all three no
# role gets more than the primary's limit says, under concurrent load with sessions, workers and servers that are killed;
# nothing is charged, and nothing revealed, while the primary does not lend, and all goes on when it does again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run ();
use PostgreSQL::Test::Utils;
use RedoubtNode qw(write_file);
use Test::More;

my $primary = RedoubtNode->make('lender', streaming => 1, conf => [ 'hot_standby = on', 'max_connections = 60', 'restart_after_crash = on' ]);
$primary->ask('regress_lead', q{INSERT INTO person (id, email) SELECT i, 'person' || i || '@example.com' FROM generate_series(6, 1000) AS i});
$primary->admin(<<~'SQL');
  CREATE ROLE regress_borrower LOGIN;
  GRANT EXECUTE ON FUNCTION redoubt.lease_budget(text, text, text, integer, integer, integer) TO regress_borrower;
  CREATE ROLE regress_many LOGIN;
  CREATE ROLE "regress Odd, ""one""" LOGIN;
  GRANT SELECT ON person TO regress_many, "regress Odd, ""one""";
  GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token) TO regress_many, "regress Odd, ""one""";
  SELECT redoubt.set_limit('regress_many', 'redoubt.email_token', 'reveal', 600, '1000 days');
  SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 50, '1000 days');
  CREATE DATABASE elsewhere;
  SQL
$primary->admin(<<~'SQL', database => 'elsewhere');
  CREATE EXTENSION redoubt;
  GRANT EXECUTE ON FUNCTION redoubt.lease_budget(text, text, text, integer, integer, integer) TO regress_borrower;
  CREATE TABLE person AS SELECT 1 AS id, 'x' AS email;
  SECURITY LABEL FOR redoubt ON COLUMN person.email IS 'redoubt.email_token';
  GRANT SELECT ON person TO regress_lead;
  SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'read', 3, '1000 days');
  SQL

my $lender = 'host=' . $primary->host . ' port=' . $primary->port . ' user=regress_borrower';
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1';
$primary->backup('b');
my @standbys = map {
  my $standby = RedoubtNode->new("borrower$_");
  $standby->init_from_backup($primary, 'b', has_streaming => 1);
  $standby->set_conf("redoubt.budget_server = '$lender'");
  $standby->start;
  $standby;
} 1 .. 2;
my ($one, $two) = @standbys;
my @all = ($primary, @standbys);
$primary->wait_for_catchup($_) for @standbys;

sub charged {
  my ($node, $role, $operation) = @_;
  return $node->admin("SELECT coalesce(sum(charged), 0) FROM redoubt.usage WHERE role_name = '$role' AND operation = '" . ($operation // 'reveal') . q{'});
}
sub borrows {
  my ($node) = @_;
  return $node->admin(q{SELECT severity || ': ' || value FROM redoubt.status() WHERE item = 'borrowed budget'});
}

# One value, and what is recorded.
is(borrows($one), 'ok: the server of redoubt.budget_server lends', 'status() of a standby says that the primary lends');
is(borrows($primary), '', 'and that of the primary says nothing');
is($one->ask('regress_lead', $reveal), 'person1@example.com', 'a value is revealed on the standby');
is(charged($one, 'regress_lead'), 1, 'it is charged there');
my $lent = charged($primary, 'regress_lead');
cmp_ok($lent, '>', 0, 'and was charged on the primary before, with others');
is($primary->admin(q{SELECT string_agg(DISTINCT session_user_name || ' ' || event || ' ' || operation || ' ' || token_type || ' ' || detail, E'\n') FROM redoubt.audit WHERE event = 'lease'}),
  'regress_borrower lease reveal redoubt.email_token to role regress_lead', 'the primary has an event of it');
$primary->poll_query_until('postgres', q{SELECT charged = 1 FROM redoubt.usage WHERE role_name = 'regress_lead' AND operation = 'reveal'})
  or fail('what was not used comes back');
is(charged($primary, 'regress_lead'), 1, 'what was lent and not used comes back within seconds');
is($one->ask('regress Odd, "one"', $reveal), 'person1@example.com', 'a role of an odd name borrows, where no limit applies to it');

my $token = 'SELECT email FROM person';
isnt($_->ask('regress_lead', $token, database => 'elsewhere'), '', 'another database has its own budget') for $one, $two, $primary;
$_->fails_with('regress_lead', $token, '53400', qr/limit on read/, 'which is one as well, on ' . $_->name, database => 'elsewhere') for @all;

# Many sessions on all three: the budget of 600, and not one value more, though sessions and workers are killed.
sub crowd {
  my ($sql, $disturb) = @_;
  my $script = "$PostgreSQL::Test::Utils::tmp_check/borrowed.sql";
  write_file($script, "\\set id random(1, 1000)\n$sql\n");
  my @runs = map {
    my %run = (out => '', err => '');
    $run{handle} = IPC::Run::start([ 'pgbench', '-n', '-c', '12', '-j', '1', '-t', '60', '-f', $script, '-h', $_->host, '-p', $_->port,
      '-U', 'regress_many', 'postgres' ], '>', \$run{out}, '2>', \$run{err});
    \%run;
  } @all;
  $disturb->() if defined $disturb;
  my ($served, $refused) = (0, 0);
  for my $run (@runs) {
    $run->{handle}->finish;
    $served += $1 if $run->{out} =~ /number of transactions actually processed: (\d+)/;
    $refused += () = $run->{err} =~ /limit on \w+ of redoubt\.email_token exceeded/g;
  }
  return ($served, $refused);
}
my ($served, $refused) = crowd('SELECT redoubt.detokenize(email) FROM person WHERE id = :id;', sub {
  for (1 .. 6) {
    select undef, undef, undef, 0.15;
    my $node = $all[ rand @all ];
    $node->admin(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'regress_many' ORDER BY random() LIMIT 1});
    $standbys[ rand @standbys ]->admin(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'redoubt lease'});
    $primary->admin(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'regress_borrower'});
  }
});
my $revealed = 0;
$revealed += charged($_, 'regress_many') for @standbys;
diag "served $served, refused $refused, charged on the standbys $revealed, on the primary " . charged($primary, 'regress_many');
cmp_ok($served, '<=', 600, 'three servers reveal no more than the one budget of 600');
cmp_ok($served, '>', 200, 'and most of it, though what a killed connection had is lost');
cmp_ok($refused, '>', 0, 'the rest is refused');
cmp_ok(charged($primary, 'regress_many'), '<=', 600, 'the primary has lent no more');
$_->fails_with('regress_many', $reveal, '53400', qr/limit on reveal of redoubt.email_token exceeded.*HINT:  The next value is allowed at/s,
  'the budget is empty on ' . $_->name) for @all;

# What is left of one goes to whoever asks: the last value too.
$primary->admin(q{SELECT redoubt.lift_block('regress_many', NULL, NULL)});
sleep 2;
$_->admin(q{SELECT redoubt.lift_block('regress_many', NULL, NULL); SELECT redoubt.reset_usage(NULL)}) for @all;
($served, $refused) = crowd('SELECT redoubt.detokenize(email) FROM person WHERE id = :id;');
cmp_ok($served, '<=', 600, 'undisturbed: no more than 600');
diag "undisturbed: served $served";
my $left = 600 - $served;
for my $node (@standbys, $primary) {
  sleep 6;    # what is void comes back
  while ($left > 0 && ($node->psql('postgres', $reveal, extra_params => [ '-U', 'regress_many' ]))[0] == 0) { --$left; ++$served }
}
is($served, 600, 'and all of the 600 in the end');

# Crashes of the servers that borrow, again and again while they are at it.
$_->admin(q{SELECT redoubt.lift_block('regress_many', NULL, NULL); SELECT redoubt.reset_usage(NULL)}) for @all;
($served, $refused) = crowd('SELECT redoubt.detokenize(email) FROM (SELECT email FROM person WHERE id > :id / 2 ORDER BY id LIMIT 6) AS p;', sub {
  for my $node (@standbys) {
    select undef, undef, undef, 0.2;
    my $offset = $node->log_size;
    my ($victim) = split /\n/, $node->admin(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'redoubt lease'});
    kill 'KILL', $victim if defined $victim && $victim ne '';
    $node->wait_for_log(qr/database system is ready to accept/, $offset);
  }
});
cmp_ok(6 * $served, '<=', 600, 'servers that crash get no more than the budget');

# A lender that stops, hangs, comes back.
$primary->stop('fast');
$_->fails_with('regress_lead', $reveal, '55000', qr/no budget can be borrowed for reveal of redoubt.email_token.*HINT:/s, $_->name . ' reveals nothing without the primary') for @standbys;
like(borrows($two), qr/^error: charges are refused since \d{4}-.*: connection to server/, 'status() says so, since when, and why');
is($one->ask('regress_clerk', 'SELECT count(*) FROM person'), 1000, 'what costs nothing is answered');
$one->fails_with('regress_clerk', 'SELECT email FROM person', '55000', qr/no budget can be borrowed for read/, 'tokens are not read either');
like($one->log_text, qr/LOG:  redoubt: the server of redoubt.budget_server does not lend: /, 'the log of the standby says so');
my $times = () = $one->log_text =~ /budget_server does not lend/g;
cmp_ok($times, '<', 12, 'but not each time');
is($one->admin(q{SELECT count(*) > 0 FROM redoubt.audit WHERE event = 'lease' AND outcome = 'denied' AND token_type = 'redoubt.email_token'}), 't', 'and the trail of the standby');
$primary->start;
$_->poll_query_until('postgres', q{SELECT severity = 'ok' FROM redoubt.status() WHERE item = 'borrowed budget'}) or fail('lends again') for @standbys;
is($one->ask('regress_lead', $reveal), 'person1@example.com', 'the primary is back, and values are revealed');
like($one->log_text, qr/LOG:  redoubt: the server of redoubt.budget_server lends again/, 'the log says that, too');

# A cancel ends the wait for a lender that hangs; so does the shutdown.
sleep 6;
kill 'STOP', split /\n/, $primary->admin(q{SELECT pid FROM pg_stat_activity WHERE usename = 'regress_borrower'});
my $began = time;
$one->fails_with('regress_lead', "SET statement_timeout = '500ms'; $reveal", '57014', qr/canceling statement due to statement timeout/, 'a statement that waits for the answer can be cancelled');
cmp_ok(time - $began, '<', 5, 'at once');
$began = time;
$_->stop('fast') for @standbys;
cmp_ok(time - $began, '<', 20, 'a standby stops although the primary does not answer');
kill 'CONT', split /\n/, $primary->admin(q{SELECT pid FROM pg_stat_activity WHERE usename = 'regress_borrower'});
$_->start for @standbys;

# Crashes: a killed session of the standby, and of the primary.
for my $node ($one, $primary) {
  my $victim = $node->background_psql('postgres');
  my $victim_pid = $victim->query_safe('SELECT pg_backend_pid()');
  my $offset = $node->log_size;
  kill 'KILL', $victim_pid;
  $node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
  $node->wait_for_log(qr/database system is ready to accept/, $offset);
  eval { $victim->quit };
  $one->poll_query_until('postgres', q{SELECT severity = 'ok' FROM redoubt.status() WHERE item = 'borrowed budget'}) or fail('lends after a crash');
  is($one->ask('regress_lead', $reveal), 'person1@example.com', 'after a crash of ' . $node->name . ' values are revealed');
}

# Wrong: role, database, a server that borrows, a type that the lender has not.
sub refused_as {
  my ($conf, $pattern, $title) = @_;
  $one->set_conf("redoubt.budget_server = '$conf'");
  $one->reload;
  $one->poll_query_until('postgres', "SELECT value ~ '$pattern' FROM redoubt.status() WHERE item = 'borrowed budget'") or diag borrows($one);
  return $one->fails_with('regress_lead', $reveal, '55000', qr/no budget can be borrowed/, $title);
}
refused_as($lender =~ s/regress_borrower/regress_clerk/r, 'permission denied for function lease_budget', 'a role without EXECUTE');
refused_as($lender =~ s/regress_borrower/regress_nobody/r, 'role "regress_nobody" does not exist', 'a role that is not there');
refused_as('host=' . $two->host . ' port=' . $two->port . ' user=regress_borrower', 'borrows its own budget', 'a server that borrows');
refused_as('host=' . $primary->host . '/nowhere', 'No such file', 'a server that is not there');
$one->set_conf("redoubt.budget_server = '$lender'");
$one->reload;
$one->poll_query_until('postgres', q{SELECT severity = 'ok' FROM redoubt.status() WHERE item = 'borrowed budget'}) or fail('lends again');
like($one->admin(q{SELECT severity || ': ' || value FROM redoubt.status() WHERE item = 'borrowed budget'}, database => 'postgres'), qr/^ok/, 'all is well again');

# An answer that is none of lease_budget()'s grants nothing: more than was asked for, less than nothing, no number, another row.
my $real = 'ALTER FUNCTION redoubt.lease_budget(text, text, text, integer, integer, integer) RENAME TO lease_budget_real';
$primary->admin(<<~"SQL");
  $real;
  CREATE TABLE answer (granted text, on_excess text, retry_ms text, longest_ms text);
  GRANT SELECT ON answer TO regress_borrower;
  CREATE FUNCTION redoubt.lease_budget(text, text, text, integer, integer, integer) RETURNS SETOF answer LANGUAGE sql AS 'TABLE public.answer';
  SQL
sleep 6;
for my $answer ("'100000', NULL, NULL, NULL", "'-1', NULL, NULL, NULL", "'5x', NULL, NULL, NULL", "'', NULL, NULL, NULL", "NULL, NULL, NULL, NULL", "'0', NULL, NULL, NULL",
  "'0', 'log', '1', '1'", "'0', 'throttle', '-5', '1'", "'0', 'throttle', '1', '99999999999999999999'", "'0', 'block', '1', NULL", "'1', NULL, NULL, NULL), ('1', NULL, NULL, NULL") {
  $primary->admin("TRUNCATE answer; INSERT INTO answer VALUES ($answer)");
  select undef, undef, undef, 1.1;
  $one->fails_with('regress_lead', $reveal, '55000', qr/no budget can be borrowed/, "an answer of ($answer) grants nothing");
}
$primary->admin('DROP FUNCTION redoubt.lease_budget(text, text, text, integer, integer, integer); ' . $real =~ s/lease_budget\(/lease_budget_real(/r =~ s/TO lease_budget_real/TO lease_budget/r . '; DROP TABLE answer');

# Limits that throttle, degrade and suspend do so here as they do there.
$primary->admin(<<~'SQL');
  CREATE ROLE regress_slow LOGIN;
  GRANT SELECT ON person TO regress_slow;
  GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token) TO regress_slow;
  SELECT redoubt.set_limit('regress_slow', 'redoubt.email_token', 'reveal', 10, '1 s', burst => 5, on_excess => 'throttle');
  SQL
$primary->wait_for_catchup($_) for @standbys;
sleep 1;
$one->admin(q{SELECT pg_sleep(1.2)});
my @runs = map { my %run = (out => ''); $run{handle} = IPC::Run::start([ 'psql', '-XAtq', '-U', 'regress_slow', '-d', $_->connstr('postgres'), '-c',
  'SELECT count(redoubt.detokenize(email)) FROM (SELECT email FROM person LIMIT 25) AS p' ], '>', \$run{out}, '2>&1'); \%run } @standbys;
$began = time;
$_->{handle}->finish for @runs;
is(join(' ', map { $_->{out} =~ s/\s//gr } @runs), '25 25', 'a throttle lets both standbys have what they ask for');
cmp_ok(time - $began, '>=', 3, 'in the time that 50 values take at 10 a second');
$primary->admin(q{SELECT redoubt.set_limit('regress_slow', 'redoubt.email_token', 'reveal', 3, '1000 days', on_excess => 'degrade'); SELECT redoubt.drop_limit('regress_slow', 'redoubt.email_token', 'reveal', '1 s')});
$primary->wait_for_catchup($_) for @standbys;
my $shown = join ' ', map { $_->ask('regress_slow', "SET redoubt.reveal = 'auto'; SELECT email FROM person LIMIT 4") =~ s/\n/ /gr } @standbys;
is(() = ($shown =~ /person\d+\@/g), 3, 'a limit that degrades shows three values over both standbys') or diag $shown;
is(() = ($shown =~ /p•••/g), 5, 'and the others masked') or diag $shown;
$primary->admin(q{SELECT redoubt.set_limit('regress_slow', 'redoubt.email_token', 'masked', 2, '1000 days', on_excess => 'suspend')});
$primary->wait_for_catchup($_) for @standbys;
sleep 6;    # what was lent before the limit was made is void
$one->ask('regress_slow', 'SELECT redoubt.mask(email) FROM person WHERE id < 3');
$two->fails_with('regress_slow', 'SELECT redoubt.mask(email) FROM person WHERE id < 3', '53400', qr/exceeded.*lift_suspension/s, 'a limit that suspends');
$primary->fails_with('regress_slow', 'SELECT redoubt.mask(email) FROM person WHERE id = 1', '53400', qr/is suspended from/, 'suspends on the primary');
sleep 2;
$two->fails_with('regress_slow', 'SELECT redoubt.mask(email) FROM person WHERE id = 1', '53400', qr/exceeded.*lift_suspension/s, 'and is not forgotten');
is($primary->admin(q{SELECT redoubt.lift_suspension('regress_slow')}), 1, 'it is lifted there');
sleep 2;
is($two->ask('regress_slow', 'SELECT redoubt.mask(email) FROM person WHERE id = 1'), 'p•••@example.com', 'for all');

# A role may be renamed, and be another one's session.
$primary->admin('ALTER ROLE regress_slow RENAME TO regress_slower');
$primary->wait_for_catchup($_) for @standbys;
is($two->ask('regress_slower', 'SELECT redoubt.mask(email) FROM person WHERE id = 1'), 'p•••@example.com', 'a renamed role borrows by its new name');
my $before = charged($two, 'regress_lead');
is($two->admin("SET SESSION AUTHORIZATION regress_lead; $reveal"), 'person1@example.com', 'SET SESSION AUTHORIZATION');
is(charged($two, 'regress_lead') - $before, 1, 'borrows for the role that the session has');

# A promoted standby stays closed.
$two->promote;
$primary->stop('immediate');
sleep 6;
$two->fails_with('regress_lead', $reveal, '55000', qr/no budget can be borrowed/, 'a promoted standby that has budget_server set stays closed');
like(borrows($two), qr/was it promoted with redoubt\.budget_server set/, 'and status() says why');
$two->set_conf(q{redoubt.budget_server = ''});
$two->reload;
$two->poll_query_until('postgres', q{SELECT current_setting('redoubt.budget_server') = ''}) or fail('reload');
is($two->ask('regress_lead', $reveal), 'person1@example.com', 'until it is reset');
is($two->ask('regress_lead', 'SELECT count(*) FROM pg_stat_activity WHERE backend_type = ' . q{'redoubt lease'}), 0, 'and the worker is gone');

is($_->verdict, 't', 'the trail of ' . $_->name . ' verifies') for @standbys;
unlike($_->log_text, qr/terminated by signal (?!9)|PANIC|TRAP/, 'no process crashed on ' . $_->name) for @all;
$_->stop for @standbys;
done_testing();
