# kek_command.pl - proves that a command that does not print the key-encryption key holds up nobody: after
# redoubt.kek_command_timeout the server runs without the key, a server that is to stop meanwhile stops, and in both
# cases no process of the command is left.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file);
use Test::More;
use Time::HiRes qw(sleep time);

my $node = RedoubtNode->make('kek_command');
my $kek = $node->basedir . '/kek';
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1';
# A sleep of its own for each case: two processes, the shell and what it runs.
my $seconds = 4_000_000 + $$;

# processes: how many there are whose command line has the sleep of this test.
sub processes {
  my ($out) = run_command([ 'ps', '-eo', 'args' ]);
  return scalar grep { /\bsleep $seconds\b/ } split /\n/, $out;
}

sub configure {
  my (@conf) = @_;
  $node->set_conf("redoubt.kek_file = ''", @conf);
  return;
}

# One that prints the key in time, with output that comes in pieces.
configure(q{redoubt.kek_command = 'head -c 10 } . $kek . q{; sleep 1; tail -c +11 } . $kek . q{'}, 'redoubt.kek_command_timeout = 20s');
$node->restart;
is($node->ask('regress_lead', $reveal), 'person1@example.com', 'a slow command is waited for');

# One that does not end.
configure("redoubt.kek_command = 'sleep $seconds; cat $kek'", 'redoubt.kek_command_timeout = 2s');
$node->stop;
my $offset = $node->log_size;
my $began = time;
$node->start;
cmp_ok(time - $began, '<', 20, 'a command that does not end: the server starts');
$node->fails_with('regress_lead', $reveal, '55000', qr/redoubt.kek_command did not end within 2 s and was killed/, 'and says why it has no key');
like($node->log_text($offset), qr/WARNING:.*redoubt has no key-encryption key: redoubt.kek_command did not end within 2 s and was killed/, 'and so does the log');
is(processes(), 0, 'no process of the command is left');

# One that has closed its output, and does not end either.
configure("redoubt.kek_command = 'cat $kek; exec >&-; sleep $seconds'");
$node->restart;
$node->fails_with('regress_lead', $reveal, '55000', qr/did not end within 2 s/, 'an output that has ended is not the end of the command');
is(processes(), 0, 'nor is there a process of it left');

# One that prints for ever.
configure("redoubt.kek_command = 'yes'");
$node->restart;
$node->fails_with('regress_lead', $reveal, '55000', qr/redoubt.kek_command failed|did not end|neither 32 bytes/, 'one that prints for ever gives no key');

# The server is stopped meanwhile.
for my $mode ('fast', 'smart', 'immediate') {
  configure("redoubt.kek_command = 'sleep $seconds; cat $kek'", 'redoubt.kek_command_timeout = 600s',
    'redoubt.previous_kek_command = ' . "'sleep $seconds'");
  $node->stop;
  $offset = $node->log_size;
  system_or_bail('pg_ctl', '-D', $node->data_dir, '-l', $node->logfile, '-W', 'start');
  my $until = time + 60;
  sleep 0.1 while time < $until && processes() == 0;
  cmp_ok(processes(), '>', 0, "$mode: the command runs");
  $began = time;
  is(run_log([ 'pg_ctl', '-D', $node->data_dir, '-m', $mode, '-t', '60', 'stop' ]), 1, "$mode: the server stops meanwhile");
  cmp_ok(time - $began, '<', 30, "$mode: soon");
  like($node->log_text($offset), qr/redoubt.kek_command was killed because the server is to stop/, "$mode: the log says what became of the command");
  is(processes(), 0, "$mode: no process of the command is left");
  configure("redoubt.kek_command = 'cat $kek'", 'redoubt.kek_command_timeout = 30s', "redoubt.previous_kek_command = ''");
  $node->start;
  is($node->ask('regress_lead', $reveal), 'person1@example.com', "$mode: and starts again");
}

# Exit statuses and signals are told.
configure("redoubt.kek_command = 'cat $kek; exit 3'");
$node->restart;
$node->fails_with('regress_lead', $reveal, '55000', qr/redoubt.kek_command failed with exit status 3/, 'an exit status is told');
configure(q{redoubt.kek_command = 'kill -9 $$'});
$node->restart;
$node->fails_with('regress_lead', $reveal, '55000', qr/redoubt.kek_command failed with signal 9/, 'a signal, too');

$node->stop;
done_testing();
