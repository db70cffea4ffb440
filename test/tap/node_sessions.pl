# node_sessions.pl - connections of other nodes: known by what authentication says, shown tokens, and charged for nothing
# but what the other node does not know of.
#
# Here the Unix socket authenticates by peer, and clients come by TCP on 127.0.0.1.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use RedoubtNode qw(write_file);
use Test::More;

my $user = getpwuid $>;
my $node = RedoubtNode->make('node_sessions', conf => ["listen_addresses = '127.0.0.1'"]);
$node->admin(<<~'SQL');
  CREATE TABLE note (id integer PRIMARY KEY, body text);
  INSERT INTO note SELECT i, 'note ' || i FROM generate_series(1, 20) AS i;
  SECURITY LABEL FOR redoubt ON COLUMN note.body IS 'redoubt.email_token';
  GRANT SELECT ON note TO regress_clerk, regress_lead;
  CREATE FUNCTION bodies() RETURNS SETOF text LANGUAGE sql STABLE AS 'SELECT body FROM note';
  CREATE FUNCTION calm(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
  SQL
write_file($node->data_dir . '/pg_hba.conf', "local all all peer map=nodes\nhost all all 127.0.0.1/32 trust\n");
write_file($node->data_dir . '/pg_ident.conf', join '', map { "nodes $user $_\n" } $user, qw(regress_lead regress_clerk));
$node->reload;

# ask_tcp ROLE, SQL: as a client.
sub ask_tcp {
  my ($role, $sql, $application) = @_;
  my ($out, $err) = ('', '');
  $node->psql('postgres', $sql, stdout => \$out, stderr => \$err, on_error_stop => 1,
    connstr => 'host=127.0.0.1 port=' . $node->port . " user=$role dbname=postgres application_name='$application'");
  return $out . $err;
}

sub charged { return $node->admin("SELECT coalesce(sum(charged), 0) FROM redoubt.usage WHERE role_name = '$_[0]'") }

# costs ROLE, CODE, VALUES, TITLE
sub costs {
  my ($role, $run, $values, $title) = @_;
  my $before = charged($role);
  $run->();
  is(charged($role) - $before, $values, $title);
  return;
}

my $read = 'SELECT body FROM note';
costs('regress_clerk', sub { $node->ask('regress_clerk', $read) }, 20, 'without the setting, everybody is charged');

for my $wrong ('postgres', ':postgres', 'peer:', 'peer:a,,peer:b') {
  $node->fails_with('', "ALTER SYSTEM SET redoubt.node_identities = '$wrong'", '22023', qr/invalid value/, "no list of identities: $wrong");
}
$node->fails_with('', "SET redoubt.node_identities = 'peer:$user'", '55P02', qr/cannot be changed now/, 'no session chooses who it is');
$node->admin("ALTER SYSTEM SET redoubt.node_identities = 'cert:other, peer:$user'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('redoubt.node_identities') <> ''");

costs('regress_clerk', sub { is($node->ask('regress_clerk', "$read WHERE id = 3"), 'note 3', 'another node is given the rows') }, 0, 'and is not charged');
costs('regress_clerk', sub { $node->ask('regress_clerk', "PREPARE p(integer) AS $read WHERE id > \$1; " . 'EXECUTE p(5); ' x 8) }, 15 * 8, 'EXECUTE is a command of its own');
costs('regress_clerk', sub { $node->ask('regress_clerk', 'SELECT count(*) FROM note WHERE body LIKE $$%1%$$') }, 0, 'a probe is not charged, either');
costs('regress_clerk', sub { ask_tcp('regress_clerk', $read, 'citus_internal gpid=1') }, 20, 'a client is, whatever it calls itself');
costs('regress_clerk', sub { $node->ask('regress_clerk', "SET application_name = 'x'; $read") }, 20, 'so is a session that changes its name');
costs('regress_clerk', sub { $node->ask('regress_clerk', "SET application_name = 'x'; RESET application_name; $read") }, 20, 'for its rest');
costs('regress_clerk', sub { $node->ask('regress_clerk', 'SELECT bodies()') }, 20, 'and what a function reads');
costs('regress_clerk', sub { $node->ask('regress_clerk', 'SELECT * FROM bodies()') }, 20, 'a function that the planner puts in the place of its call');
costs('regress_clerk', sub { $node->ask('regress_clerk', 'SELECT calm(body) FROM note') }, 20, 'and what is handed to one');
costs('regress_clerk', sub { $node->ask('regress_clerk', "DO 'BEGIN PERFORM body FROM note; END'") }, 20, 'and a block of code');
costs('regress_clerk', sub { $node->ask('regress_clerk', "COPY (SELECT body FROM note) TO STDOUT") }, 20, 'COPY is charged');

like($node->ask('regress_lead', "SET redoubt.reveal = 'plain'; SELECT email FROM person WHERE id = 1"), qr/^tok_/, 'another node is shown tokens');
is(ask_tcp('regress_lead', "SET redoubt.reveal = 'plain'; SELECT email FROM person WHERE id = 1", 'x'), 'person1@example.com', 'a client is not');
costs('regress_lead', sub { is($node->ask('regress_lead', 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1'), 'person1@example.com', 'asked by name') }, 1,
  'it reveals, and that is charged');

$node->admin(q{SELECT redoubt.set_limit('regress_clerk', 'redoubt.email_token', 'read', 10, '1 day', on_excess => 'block')});
is($node->ask('regress_clerk', 'SELECT count(*) FROM (SELECT body FROM note OFFSET 0) n'), '20', 'no limit ends what is not charged');
$node->fails_with('regress_clerk', 'SELECT bodies()', '53400', qr/limit on read/, 'but what is');
like(ask_tcp('regress_clerk', $read, 'x'), qr/limit on read/, 'of clients as well');

$node->admin('ALTER SYSTEM RESET redoubt.node_identities');
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('redoubt.node_identities') = ''");
$node->fails_with('regress_clerk', $read, '53400', qr/limit on read/, 'without the setting, everybody is charged again');
is($node->verdict, 't', 'the trail verifies');

done_testing();
