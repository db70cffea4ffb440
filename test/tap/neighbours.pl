# neighbours.pl - Redoubt beside other extensions, before and after them in shared_preload_libraries: tokens, reveals,
# charged reads and refusals are what they are alone, and the neighbours work.
#
# Beside Debian's packages of the extensions (what is not installed is skipped, and said), a library built here takes as
# many callback slots as a big extension does.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use RedoubtNode;
use Test::More;

# The neighbours that are preloaded, the extensions they come with, and a statement that each answers.
my @known = (
  { library => 'pg_stat_statements', extension => 'pg_stat_statements', try => 'SELECT count(*) > 0 FROM pg_stat_statements' },
  { library => 'pgaudit', extension => 'pgaudit', try => q{SELECT current_setting('pgaudit.log') = 'read, write'} },
  { library => 'pg_cron', extension => 'pg_cron', try => 'SELECT count(*) = 0 FROM cron.job' },
  { library => 'pg_partman_bgw', extension => 'pg_partman', schema => 'partman', try => 'SELECT count(*) = 0 FROM partman.part_config' },
  { library => undef, extension => 'hypopg', try => q{SELECT indexrelid > 0 FROM hypopg_create_index('CREATE INDEX ON person (id)')} },
  { library => 'pg_qualstats', extension => 'pg_qualstats', try => 'SELECT count(*) >= 0 FROM pg_qualstats' },
  { library => 'pg_wait_sampling', extension => 'pg_wait_sampling', try => 'SELECT count(*) >= 0 FROM pg_wait_sampling_profile' },
  { library => 'set_user', extension => 'set_user', try => q{SELECT count(*) > 0 FROM pg_proc WHERE proname = 'set_user'} },
  { library => 'plpgsql_check', extension => 'plpgsql_check', try => q{SELECT count(*) = 0 FROM plpgsql_check_function('revealed()')} },
);
my ($pg_lib, $pg_share) = map { my ($out) = run_command([ 'pg_config', "--$_" ]); $out } qw(pkglibdir sharedir);
my (@here, @missing);
push @{ -e "$pg_share/extension/$_->{extension}.control" && -e "$pg_lib/" . ($_->{library} // $_->{extension}) . '.so' ? \@here : \@missing }, $_ for @known;
if (@missing) {
  my $names = join ', ', map { $_->{extension} } @missing;
  diag "!!! SKIPPED: without $names, which is not installed";
  SKIP: { skip "not installed: $names", scalar @missing }
}

# The crowd, built with the server's own headers.
my ($include) = run_command([ 'pg_config', '--includedir-server' ]);
my $folder = PostgreSQL::Test::Utils::tempdir();
my $crowded = system($ENV{CC} // 'cc', '-shared', '-fPIC', '-O1', '-w', "-I$include", '-o', "$folder/crowd.so", "$FindBin::RealBin/lib/crowd.c") == 0;
ok($crowded, 'the crowd is built');

my @libraries = grep { defined } map { $_->{library} } @here;
for my $order ('before', 'after') {
  my @others = (@libraries, "$folder/crowd.so");
  my $preloaded = join ',', $order eq 'before' ? ('redoubt', @others) : (@others, 'redoubt');
  my $node = RedoubtNode->make("neighbours_$order", people => 0, conf => [
    "shared_preload_libraries = '$preloaded'", 'max_worker_processes = 20', "pgaudit.log = 'read, write'", "cron.database_name = 'postgres'",
    'pg_qualstats.sample_rate = 1', 'pg_qualstats.resolve_oids = on', 'compute_query_id = on' ]);
  $node->people;
  $node->admin('CREATE SCHEMA partman');
  $node->admin("CREATE EXTENSION $_->{extension}" . (defined $_->{schema} ? " SCHEMA $_->{schema}" : '')) for @here;
  $node->admin(<<~"SQL");
    CREATE TABLE note (id integer PRIMARY KEY, body text);
    INSERT INTO note SELECT i, 'note ' || i FROM generate_series(1, 20) AS i;
    SECURITY LABEL FOR redoubt ON COLUMN note.body IS 'redoubt.email_token';
    GRANT SELECT ON note TO regress_clerk;
    CREATE FUNCTION revealed() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT redoubt.detokenize(email) FROM person WHERE id = 1); END';
    CREATE FUNCTION shout(text) RETURNS text LANGUAGE c AS '$folder/crowd', 'crowd_shout';
    SQL

  like($node->ask('regress_clerk', 'SELECT email FROM person WHERE id = 1'), qr/^tok_/, "$order: a token");
  is($node->ask('regress_lead', q{SET redoubt.reveal = 'plain'; SELECT email FROM person WHERE id = 2}), 'person2@example.com', "$order: a reveal");
  is($node->ask('regress_lead', 'SELECT revealed()'), 'person1@example.com', "$order: a reveal in a function");
  like($node->ask('regress_agent', q{SET redoubt.reveal = 'auto'; SELECT email FROM person WHERE id = 3}), qr/^p[^a-z]+\@example\.com$/, "$order: masked");
  is($node->ask('regress_lead', q{SELECT id FROM person WHERE email = 'person4@example.com'}), '4', "$order: a search");
  $node->fails_with('regress_clerk', 'SELECT redoubt.detokenize(email) FROM person', '42501', qr/permission denied/, "$order: a refusal");
  for my $counts (grep { my $name = $_; grep { $_->{extension} eq $name } @here } qw(pg_stat_statements pg_qualstats)) {
    $node->fails_with('regress_clerk', "SELECT * FROM $counts", '42501', qr/permission denied for function $counts/, "$order: what $counts counts");
  }

  my $read = sub { $node->admin(q{SELECT coalesce(sum(charged), 0) FROM redoubt.usage WHERE role = 'regress_clerk'::regrole AND operation = 'read'}) };
  my $before = $read->();
  is($node->ask('regress_clerk', 'SELECT count(body) FROM (SELECT body FROM note ORDER BY id LIMIT 7) n'), '7', "$order: rows that do not leave");
  $node->ask('regress_clerk', 'SELECT body FROM note ORDER BY id LIMIT 7');
  is($read->() - $before, 7, "$order: 7 labelled values were charged");

  # A custom scan that says nothing of what it reads is charged by what its target list carries.
  my $hidden = sub {
    my ($query, $values, $name) = @_;
    my $at = $read->();
    my $rows = $node->ask('regress_clerk', "SET crowd.hide = on; $query");
    my $charged = $read->() - $at;
    ok($rows ne '' && $charged == $values, "$order: hidden, $name: $values") or diag "charged $charged: $rows";
  };
  if ($order eq 'before') {
    $node->fails_with('regress_clerk', 'SET crowd.hide = on; SELECT array_agg(body) FROM note', '55000', qr/has hidden/, "$order: hidden after Redoubt has looked");
    is($node->ask('regress_clerk', 'SET crowd.hide = on; SELECT count(*) FROM pg_class WHERE relname = $$note$$'), '1', "$order: hidden, nothing protected");
  }
  if ($order eq 'after') {
    $hidden->('SELECT id FROM note ORDER BY id LIMIT 4', 0, 'another column');
    $hidden->('SELECT id, body FROM note ORDER BY id LIMIT 4', 4, 'a labelled column');
    $hidden->('SELECT upper(body) FROM note ORDER BY id LIMIT 4', 4, 'an expression');
    $hidden->(q{SELECT string_agg(body, ',') FROM note WHERE id < 5}, 4, 'many values in one');
    $hidden->(q{SELECT count(*) FROM note WHERE id < 5}, 0, 'a count of rows');
    # What opens values, or calls a function that is not trusted, is planned above the scan.
    my $hide = 'SET crowd.hide = on;';
    is($node->ask('regress_lead', "$hide SELECT redoubt.detokenize(email) FROM person WHERE id = 2"), 'person2@example.com', "$order: hidden, detokenize()");
    is($node->ask('regress_lead', "$hide SET redoubt.reveal = 'auto'; SELECT upper(email), id FROM person WHERE id < 3 ORDER BY email"),
      "PERSON1\@EXAMPLE.COM|1\nPERSON2\@EXAMPLE.COM|2", "$order: hidden, a function of values, in their order");
    is($node->ask('regress_lead', "$hide SELECT id FROM person WHERE lower(email) = 'person2\@example.com'"), '2', "$order: hidden, a condition on a value");
    my $groups = "$hide SELECT count(*) FROM person WHERE redoubt.detokenize(email) LIKE 'person%' GROUP BY id % 2 ORDER BY 1";
    # From 18 on, GROUP BY is an entry of the range table, and is not taken apart.
    if ($node->pg_version >= 18) {
      $node->fails_with('regress_lead', $groups, '0A000', qr/It groups rows/, "$order: hidden, groups");
    } else {
      is($node->ask('regress_lead', $groups), "2\n3", "$order: hidden, groups");
    }
    $node->fails_with('regress_lead', "$hide SELECT * FROM (SELECT redoubt.detokenize(email) FROM person) p", '0A000', qr/outermost SELECT/, "$order: hidden, in a subquery");
    $node->fails_with('regress_clerk', "$hide SELECT a FROM (SELECT array_agg(body) AS a FROM note) n", '0A000', qr/outermost SELECT/, "$order: hidden, an array in a subquery");
    like($node->ask('regress_lead', "$hide EXPLAIN (COSTS OFF) SELECT redoubt.detokenize(email) FROM person"), qr/^Subquery Scan on rows\n  ->  Custom Scan/, "$order: hidden, the plan");
  }
  $node->admin(q{SELECT redoubt.set_limit('regress_clerk', 'redoubt.email_token', 'read', 10, '1 hour')});
  is($node->ask('regress_clerk', 'SELECT count(*) FROM (SELECT body FROM note LIMIT 1) n'), '1', "$order: under a limit");
  $node->fails_with('regress_clerk', 'SELECT body FROM note', '53400', qr/limit/, "$order: over a limit");

  # Each session hears of a change of another.
  my $session = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'regress_agent' ]);
  is($session->query('SELECT count(*) FROM note'), '', "$order: not granted yet");
  $node->admin('GRANT SELECT ON note TO regress_agent; SECURITY LABEL FOR redoubt ON COLUMN note.body IS NULL');
  is($session->query('SELECT count(*) FROM note'), '20', "$order: a running session hears of a grant and a label");
  $session->quit;

  for my $neighbour (@here) {
    is($node->admin($neighbour->{try}), 't', "$order: $neighbour->{extension} works");
  }

  # What a function of another library puts into an error stays out of the log, though its domain is PostgreSQL's.
  my $log = $node->log_size;
  $node->fails_with('regress_lead', q{SELECT shout(redoubt.detokenize(email)) FROM person WHERE id = 5}, 'XX000', qr/bad value person5/, "$order: a careless function tells its caller");
  $node->fails_with('regress_lead', q{SELECT redoubt.detokenize(email)::integer FROM person WHERE id = 5}, '22P02', qr/person5/, "$order: as the server does");
  unlike($node->log_text($log), qr/person5/, "$order: and the log says neither");
  like($node->log_text($log), qr/message of SQLSTATE XX000 withheld from the log/, "$order: but that it was withheld");
  unlike($node->log_text, qr/out of (?:relcache|syscache)_callback_list slots|terminated by signal/, "$order: nobody ran out of slots or crashed");
  is($node->verdict, 't', "$order: the audit trail verifies");
  $node->stop;
}

# Workers that find no place say what the server goes without.  PostgreSQL's own launcher takes the first.
my $node = RedoubtNode->make('workers', conf => [ 'max_worker_processes = 2' ]);
like($node->log_text, qr/WARNING:  redoubt: no background worker is left for "redoubt sweep launcher": expired values stay/, 'a worker without a place');
unlike($node->log_text, qr/no background worker is left for "redoubt limits"/, 'the other one has it');
is($node->ask('regress_lead', 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1'), 'person1@example.com', 'and the server works');

done_testing();
