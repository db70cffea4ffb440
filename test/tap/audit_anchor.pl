# audit_anchor.pl - proves that redoubt.anchor_command gets the signed head of the trail on its standard input, that a trail
# which was cut or rewritten contradicts it, and that a command that fails, hangs or is not there costs nothing but anchors.
use strict;
use warnings;
use File::Basename qw(basename);
use File::Copy qw(copy);
use File::Path qw(rmtree);
use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run qw(run);
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Time::HiRes qw(time);
use Test::More;

my $node = RedoubtNode->make('audit_anchor', conf => ['redoubt.anchor_interval = 1s']);
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1;';
my $anchors = $node->basedir . '/anchors';
my $copy = $node->basedir . '/copy';
my $key = $node->admin('SELECT redoubt.audit_public_key()');

sub command {
  my ($command) = @_;
  $node->set_conf("redoubt.anchor_command = '" . $command =~ s/'/''/gr . "'");
  $node->reload;
  return;
}
sub status { return $node->admin(q{SELECT value || '|' || severity FROM redoubt.status() WHERE item = 'audit anchor'}) }
sub wait_for { my ($what, $test) = @_; for (1 .. 300) { return 1 if $test->(); select undef, undef, undef, 0.1 } return fail("$what: in time") }
sub lines { return -e $anchors ? split /\n/, read_file($anchors) : () }
sub newest { return $node->admin('SELECT max(sequence) FROM redoubt.audit') }
sub sent { my ($last) = (lines())[-1] // ''; return $last =~ /"sequence":(\d+)/ ? $1 : 0 }
sub take_copy {
  rmtree($copy);
  mkdir $copy, 0700 or die;
  copy($_, "$copy/" . basename($_)) or die for $node->audit_directory . '/heads.jsonl', $node->audit_segments;
  return;
}
sub verify {
  my ($out, $err) = ('', '');
  run([ "$FindBin::RealBin/../../bin/redoubt-verify-audit", '--public-key', $key, '--anchor', $anchors, $copy ], '<', '/dev/null', '>', \$out, '2>', \$err);
  return ($? >> 8) . ": $out$err";
}

is(status(), '', 'without a command there is nothing to say');
$node->fails_with('regress_lead', q{SET redoubt.anchor_command = 'true'}, '55P02', qr/cannot be changed now/, 'no session sets it');
for (1 .. 2) {    # closed segments, so that there are heads
  $node->restart;
  $node->ask('regress_lead', $reveal);
}
command("cat >> $anchors");
wait_for('an anchor', sub { sent() == newest() });
like((lines())[-1], qr/^\{"anchor":1,"format":1,"server":"[0-9a-f-]{36}","cluster":"\d+","segment":\d+,"sequence":\d+,"mac":"[0-9a-f]{64}","time":\d+,"public_key":"$key","signature":"[0-9a-f]{128}"\}$/, 'the command gets the signed head');
wait_for('status', sub { status() =~ /^sent .*\|ok$/ });
like(status(), qr/^sent .*\|ok$/, 'status() says so');
my $count = () = lines();
sleep 3;
is(scalar(() = lines()), $count, 'nothing is sent while nothing is written');
$node->ask('regress_lead', $reveal x 3);
wait_for('the next', sub { sent() == newest() });
take_copy();
like(verify(), qr/^0: .*\nWHOLE to segment \d+: \d+ events verified, \d+ lines not signed yet, @{[ scalar(() = lines()) ]} anchors, 0 broken/s, 'a copy of the trail fits its anchors');

# What the trail alone cannot show: its end cut off, and rewritten.
my $last = $copy . '/' . basename(($node->audit_segments)[-1]);
my $good = read_file($last);
write_file($last, $good =~ s/[^\n]*\n\z//r);
like(verify(), qr/^1: .*anchors, line \d+: BROKEN: the trail ends at \d+, and was at \d+ then\n/s, 'an end that was cut off');
write_file($last, $good =~ s/"mac":"(.)([0-9a-f]{63}"\}\n)\z/'"mac":"' . ($1 eq 'a' ? 'b' : 'a') . $2/er);
like(verify(), qr/^1: .*BROKEN: the line \d+ is another than it was then\n/s, 'an end that was rewritten');
unlink $last;
like(verify(), qr/^1: .*BROKEN: the trail ends at/s, 'a last segment that was removed');
write_file($last, $good);
my $kept = read_file($anchors);
write_file($anchors, $kept =~ s/"sequence":(\d)/'"sequence":' . ($1 % 9 + 1)/er);
like(verify(), qr/^1: .*line 1: BROKEN: not an anchor that one of the keys signed\n/, 'an anchor that was changed');
write_file($anchors, $kept);
like(verify(), qr/^0: /, 'well again');
my ($forged) = sort { $b cmp $a } grep { $_ ne $last } glob "$copy/segment-*.jsonl";
my ($number) = $forged =~ /0*(\d+)\.jsonl$/;
my %before = map { $_ => read_file($_) } $forged, "$copy/heads.jsonl";
write_file($forged, $before{$forged} =~ s/"time":(\d)/'"time":' . ($1 % 9 + 1)/er);
write_file("$copy/heads.jsonl", $before{"$copy/heads.jsonl"} =~ s/^\{"head":$number,[^\n]*\n//mr);
like(verify(), qr/^1: .*segments? $number\b[^\n]*: BROKEN: no head is signed\n/s, 'a forged segment whose head was taken away: its successor was anchored');
write_file($_, $before{$_}) for keys %before;

# Commands that fail.
for ([ 'exit 3', 'it ended with exit status 3' ], [ 'kill -9 $$', 'it ended by signal 9' ], [ '/nowhere/command', 'it ended with exit status 127' ]) {
  my ($command, $problem) = @$_;
  my $log = $node->log_size;
  command($command);
  $node->ask('regress_lead', $reveal);
  ok($node->wait_for_log(qr/LOG:  redoubt audit: redoubt\.anchor_command failed: \Q$problem\E\n.*?HINT/s, $log), "$command: the log says why");
  like(status(), qr/^failed .*; see the server log; sent .*\|warning$/, "$command: and status()");
  is($node->ask('regress_lead', $reveal), 'person1@example.com', "$command: values are revealed");
  sleep 2;
  is(scalar(() = $node->log_text($log) =~ /anchor_command failed/g), 1, "$command: once is enough");
}
command("cat >> $anchors");
$node->ask('regress_lead', $reveal);
wait_for('it works again', sub { sent() == newest() && status() =~ /\|ok$/ });
is(status() =~ /\|ok$/ ? 'ok' : status(), 'ok', 'it works again by itself');

# One that hangs, with a child, and ignores signals.
my $pids = $node->basedir . '/pids';
$node->set_conf('redoubt.anchor_timeout = 1s');
my $log = $node->log_size;
command("trap '' TERM INT HUP; sleep 1000 & echo \$\$ \$! >> $pids; wait");
$node->ask('regress_lead', $reveal);
my $began = time;
is($node->ask('regress_lead', $reveal), 'person1@example.com', 'a command that hangs: values are revealed');
cmp_ok(time - $began, '<', 1, 'a command that hangs: at once');
ok($node->wait_for_log(qr/redoubt\.anchor_command failed: it did not end within 1 s and was killed/, $log), 'a command that hangs: it is killed');
sub alive { return grep { my $stat = -e "/proc/$_/stat" ? eval { read_file("/proc/$_/stat") } // '' : ''; $stat ne '' && $stat !~ /\) Z / } map { split ' ' } split /\n/, read_file($pids) }
wait_for('killed', sub { read_file($pids) =~ /\d/ });
$node->set_conf('redoubt.anchor_timeout = 1h');
$node->reload;
sleep 2;
$node->ask('regress_lead', $reveal);
my $runs = () = read_file($pids) =~ /\n/g;
wait_for('a run', sub { scalar(() = alive()) > 0 });
$node->admin('CREATE DATABASE regress_other; DROP DATABASE regress_other');
pass('a command that hangs: no other process waits for it');
$began = time;
$node->stop('fast');
cmp_ok(time - $began, '<', 10, 'a command that hangs: the server can be stopped');
is(join(' ', alive()), '', 'a command that hangs: nothing of it is left');
command_none();
sub command_none { $node->set_conf(q{redoubt.anchor_command = 'true'}); $node->start; return }
$node->ask('regress_lead', $reveal);
wait_for('one that reads nothing', sub { status() =~ /\|ok$/ });
is(status() =~ /\|ok$/ ? 'ok' : status(), 'ok', 'a command that reads nothing is taken at its word');
is($node->verdict, 't', 'the trail verifies');

done_testing();
