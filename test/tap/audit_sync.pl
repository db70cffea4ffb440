# audit_sync.pl - proves what redoubt.audit_durability = sync promises: the record
# of intent is flushed to disk before the first plaintext of a statement leaves,
# a reload is enough to switch, and a trail written that way rotates, survives a
# crash and verifies.  The order of the system calls is looked at with strace,
# where the machine has it and lets it attach.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file);
use Test::More;

my $node = RedoubtNode->make('audit_sync', conf => [ 'fsync = on', 'redoubt.audit_segment_size = 64kB' ]);
my $durability = q{SELECT value FROM redoubt.status() WHERE item = 'audit durability'};

# The system calls of one statement that reveals `$rows` values, as the letters
# w(rite a record), f(lush), s(end plaintext); undef without strace.
sub calls_of {
  my ($rows) = @_;
  my $session = $node->background_psql('postgres', extra_params => [ '-U', 'regress_lead' ]);
  $session->query_safe('SELECT redoubt.detokenize(email) FROM person');    # opens files and caches
  my $pid = $session->query_safe('SELECT pg_backend_pid()');
  my $trace = $node->basedir . "/trace.$pid";
  my $strace = eval {
    IPC::Run::start([ 'strace', '-q', '-s', '200', '-o', $trace, '-e', 'trace=pwrite64,fdatasync,fsync,sendto', '-p', $pid ],
      '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null', IPC::Run::timeout(60));
  } or return;
  for (1 .. 100) {
    last if read_file("/proc/$pid/status") =~ /^TracerPid:\s+[1-9]/m || !$strace->pumpable;
    select undef, undef, undef, 0.1;
  }
  my $attached = read_file("/proc/$pid/status") =~ /^TracerPid:\s+[1-9]/m;
  $session->query_safe("SELECT redoubt.detokenize(email) FROM person LIMIT $rows") if $attached;
  $session->quit;
  $strace->finish;
  return unless $attached;
  my $calls = '';
  for (split /\n/, read_file($trace)) {
    $calls .= 'w' if /^pwrite64\(\d+, "\{\\"class_uid\\"/;
    $calls .= 'f' if /^f(?:data)?sync\(\d+\)\s+= 0/;
    $calls .= 's' if /^sendto\(.*person\d\@example\.com/;
  }
  return $calls;
}

SKIP: {
  my $calls = calls_of(3);
  skip 'strace is not there or may not attach', 2 unless defined $calls;
  is($calls, 'wws', 'async: intent, summary, plaintext; nothing is flushed');

  $node->set_conf('redoubt.audit_durability = sync');
  $node->reload;
  $node->poll_query_until('postgres', $durability, 'sync') or die 'the reload had no effect';
  is(calls_of(3), 'wfws', 'sync: the intent is flushed before the first plaintext, and its summary follows');
}

$node->set_conf('redoubt.audit_durability = sync');
$node->reload;
is($node->poll_query_until('postgres', $durability, 'sync'), 1, 'a reload switches to sync');
$node->ask('regress_lead', 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1;' x 150);
cmp_ok(scalar($node->audit_segments), '>', 2, 'a trail written in sync rotates');
is($node->verdict, 't', 'and verifies');

# A session of which some flushes fail, by strace; nothing where that cannot be.
sub faulty {
  my ($when) = @_;
  my $session = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'regress_lead', '-v', 'VERBOSITY=verbose' ]);
  $session->query('SELECT redoubt.detokenize(email) FROM person WHERE id = 1');
  my $pid = $session->query('SELECT pg_backend_pid()');
  my $strace = eval {
    IPC::Run::start([ 'strace', '-q', '-o', '/dev/null', '-e', 'trace=fdatasync', '-e', "inject=fdatasync:error=EIO:when=$when", '-p', $pid ],
      '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null', IPC::Run::timeout(60));
  };
  for (1 .. 100) {
    last if !$strace || !$strace->pumpable;
    return ($session, $strace) if read_file("/proc/$pid/status") =~ /^TracerPid:\s+[1-9]/m;
    select undef, undef, undef, 0.1;
  }
  $session->quit;
  return;
}
my $journal = q{SELECT value || ' ' || severity FROM redoubt.status() WHERE item = 'audit journal'};

# Where the journal cannot be flushed, the segment is.
SKIP: {
  my ($session, $strace) = faulty('1') or skip 'strace is not there or may not attach', 4;
  my $offset = $node->log_size;
  my $last = ($node->audit_segments)[-1];
  is($session->query('SELECT redoubt.detokenize(email) FROM person WHERE id = 2'), 'person2@example.com', 'the journal cannot be flushed: a value is revealed');
  is(($node->audit_segments)[-1], $last, 'the journal cannot be flushed: the segment is');
  is($node->admin($journal), 'used ok', 'the journal cannot be flushed: the next flush goes there again');
  $session->quit;
  $strace->finish;
  unlike($node->log_text($offset), qr/could not flush/, 'the journal cannot be flushed: nothing is lost');
}

# A flush that fails, of the journal and of the segment, is not followed by one that "succeeds": the segment is left, the
# event's writer gets the error, and what is written next goes to another segment.
SKIP: {
  my ($session, $strace) = faulty('1..2') or skip 'strace is not there or may not attach', 9;
  my $last = ($node->audit_segments)[-1];
  my $offset = $node->log_size;
  is($session->query('SELECT redoubt.detokenize(email) FROM person WHERE id = 2'), '', 'a flush fails: nothing is revealed');
  like($session->{stderr}, qr/ERROR:  58030: could not flush the audit trail: Input\/output error\n.*^HINT:.*redoubt\.audit_directory/ms, 'a flush fails: the error says why');
  like($node->log_text($offset), qr/redoubt audit: could not flush the audit trail: Input\/output error\n.*DETAIL:  What was written after byte \d+ of segment \d+ may not be on disk/,
    'a flush fails: the server log says from where on');
  $session->{stderr} = '';
  my $size = -s $last;
  is($session->query('SELECT redoubt.detokenize(email) FROM person WHERE id = 2'), 'person2@example.com', 'the next statement is served');
  isnt(($node->audit_segments)[-1], $last, 'from a new segment');
  is($node->ask('regress_lead', 'SELECT redoubt.detokenize(email) FROM person WHERE id = 3'), 'person3@example.com', 'so is another session');
  is(-s $last, $size, 'nothing more is written to the old one');
  is($node->admin($journal), 'not used, flushes take longer: Input/output error warning', 'the journal keeps what the old one may have lost');
  $session->quit;
  $strace->finish;
  $node->restart;
  $node->ask('regress_lead', 'SELECT redoubt.detokenize(email) FROM person WHERE id = 3') for 1 .. 2;
  is($node->admin($journal), 'used ok', 'until the restart');
}
is($node->verdict, 't', 'the trail verifies');

# What no statement waits for, the worker flushes.
SKIP: {
  my $pid = $node->admin(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'redoubt audit'});
  my $trace = $node->basedir . '/trace.worker';
  my $strace = eval {
    IPC::Run::start([ 'strace', '-q', '-o', $trace, '-e', 'trace=fdatasync', '-p', $pid ], '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null', IPC::Run::timeout(60));
  };
  my $attached = 0;
  for (1 .. 100) {
    last if !$strace || !$strace->pumpable || ($attached = read_file("/proc/$pid/status") =~ /^TracerPid:\s+[1-9]/m);
    select undef, undef, undef, 0.1;
  }
  skip 'strace is not there or may not attach', 1 unless $attached;
  my $count = sub { return scalar(() = read_file($trace) =~ /= 0$/mg) };
  sleep 3;
  my $before = $count->();
  $node->ask('regress_lead', 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1');
  for (1 .. 100) { last if $count->() > $before; select undef, undef, undef, 0.1 }
  cmp_ok($count->(), '>', $before, 'a summary that no statement waited for is flushed within seconds');
  $strace->signal('TERM');
  $strace->finish;
}

# One flush serves all who wait for it.
{
  my $script = $node->basedir . '/one.sql';
  RedoubtNode::write_file($script, "SELECT redoubt.detokenize(email) FROM person WHERE id = 1;\n");
  my ($out, $err) = ('', '');
  IPC::Run::run([ 'pgbench', '-n', '-c', '8', '-j', '2', '-t', '50', '-f', $script, '-h', $node->host, '-p', $node->port, '-U', 'regress_lead', 'postgres' ],
    '>', \$out, '2>', \$err);
  like($out, qr/number of transactions actually processed: 400\/400/, 'eight clients are served') or diag($err);
  is($node->verdict, 't', 'and the trail verifies');
}

$node->stop('immediate');
$node->start;
is($node->ask('regress_lead', 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1'), 'person1@example.com', 'after a crash values can be revealed');
is($node->verdict, 't', 'and the trail verifies');
is($node->admin(q{SELECT sum(count) >= 551 FROM redoubt.audit WHERE event = 'reveal' AND outcome = 'success'}), 't', 'no record is lost');
$node->fails_with('regress_lead', q{SET redoubt.audit_durability = 'async'}, '55P02', qr/cannot be changed now/, 'no session can switch back');

done_testing();
