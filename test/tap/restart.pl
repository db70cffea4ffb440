# restart.pl - proves that the audit trail is one chain over restarts: each start
# opens a segment that continues the one before and records what the server was
# started with, and the heads in the server log are those of the files, so that
# what was cut off while the server was down can be told from the log.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use RedoubtNode qw(read_file write_file);
use Test::More;

my $node = RedoubtNode->make('restart');
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1';

# The "sequence, mac" of a segment's last line, as the server log puts it.
sub head_of {
  my ($file) = @_;
  my ($sequence, $mac) = read_file($file) =~ /"sequence":(\d+)\},"mac":"([0-9a-f]{64})"\}\n\z/ or return 'none';
  return "sequence $sequence, mac $mac";
}

my $starts = 4;
for my $start (1 .. $starts) {
  $node->restart if $start > 1;
  is($node->ask('regress_lead', $reveal), 'person1@example.com', "start $start: values can be revealed");
  is($node->verdict, 't', "start $start: the trail verifies");
  is(scalar($node->audit_segments), $start, "start $start: one more segment");
}
$node->stop;

my $log = $node->log_text;
my @segments = $node->audit_segments;
for my $number (1 .. $starts) {
  my $head = head_of($segments[ $number - 1 ]);
  like($log, qr/redoubt audit: segment $number opened at sequence \d+, mac [0-9a-f]{64}\n/, "segment $number: its opening is in the server log");
  like($log, qr/redoubt audit: segment $number closed at $head\n/, "segment $number: its last head is in the server log");
}
for my $number (2 .. $starts) {
  my ($mac) = head_of($segments[ $number - 2 ]) =~ /mac (\w+)/;
  like(read_file($segments[ $number - 1 ]), qr/\A\{"segment":$number,[^\n]*"previous_mac":"$mac"/, "segment $number continues its predecessor");
}

$node->start;
is($node->ask('regress_lead', $reveal), 'person1@example.com', 'values can be revealed again');
is($node->admin(q{SELECT count(*) FROM redoubt.audit WHERE event = 'settings' AND operation = 'start'}), $starts + 1,
  'every start has recorded its settings');
is($node->admin('SELECT bool_and(sequence > before) FROM (SELECT sequence, lag(sequence, 1, 0::bigint) OVER () AS before FROM redoubt.audit) AS s'),
  't', 'the view shows the chain in its order');
is($node->admin(q{SELECT count(*) FROM redoubt.audit WHERE event = 'reveal' AND outcome = 'success' AND session_user_name = 'regress_lead' AND operation = 'reveal'}),
  $starts + 1, 'the view holds the reveals of every start');

# Whole lines cut from the end while the server was down: the chain that is left is
# intact, so only the server log tells - and it does.
$node->stop;
my $last = ($node->audit_segments)[-1];
my $lost = head_of($last);
write_file($last, read_file($last) =~ s/[^\n]*\n[^\n]*\n\z//r);
$node->start;
is($node->verdict, 't', 'lines cut off while the server was down leave an intact chain');
my ($number) = $last =~ /segment-0*(\d+)/;
like($node->log_text, qr/segment $number closed at $lost\n/, 'the server log has the head that was cut off');
isnt(head_of($last), $lost, 'which the file has no longer');

done_testing();
