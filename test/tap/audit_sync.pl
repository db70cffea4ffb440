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
  is(calls_of(3), 'wfwfs', 'sync: each record is flushed, the intent before the first plaintext');
}

$node->set_conf('redoubt.audit_durability = sync');
$node->reload;
is($node->poll_query_until('postgres', $durability, 'sync'), 1, 'a reload switches to sync');
$node->ask('regress_lead', 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1;' x 150);
cmp_ok(scalar($node->audit_segments), '>', 2, 'a trail written in sync rotates');
is($node->verdict, 't', 'and verifies');
$node->stop('immediate');
$node->start;
is($node->ask('regress_lead', 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1'), 'person1@example.com', 'after a crash values can be revealed');
is($node->verdict, 't', 'and the trail verifies');
is($node->admin(q{SELECT sum(count) >= 151 FROM redoubt.audit WHERE event = 'reveal' AND outcome = 'success'}), 't', 'no record is lost');
$node->fails_with('regress_lead', q{SET redoubt.audit_durability = 'async'}, '55P02', qr/cannot be changed now/, 'no session can switch back');

done_testing();
