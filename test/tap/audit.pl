# audit.pl - proves that the audit trail rotates without losing a record and that
# every kind of change made behind the server's back is found and named: a byte,
# a line removed, added, moved or cut off, a segment removed, exchanged or cut.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use File::Basename qw(basename);
use RedoubtNode qw(read_file write_file);
use Test::More;

my $node = RedoubtNode->make('audit', conf => ['redoubt.audit_segment_size = 64kB']);
$node->admin('CREATE ROLE regress_auditor LOGIN; GRANT redoubt_auditor TO regress_auditor');
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1;';
my $rounds = 300;
$node->ask('regress_lead', $reveal x $rounds);

# Rotation.
my @segments = $node->audit_segments;
my $count = @segments;
cmp_ok($count, '>', 4, 'the trail has rotated');
is(scalar(grep { -s $_ > 64 * 1024 } @segments), 0, 'no segment is larger than redoubt.audit_segment_size');
is(scalar(grep { (stat $_)[2] & 077 } $node->audit_directory, @segments), 0, 'nobody but the server may read the trail');
is($node->verdict, 't', 'the trail verifies');
is($node->ask('regress_auditor', q{SELECT count(*) || '|' || sum(count) FROM redoubt.audit
    WHERE event = 'reveal' AND outcome = 'success' AND session_user_name = 'regress_lead'}),
  "$rounds|$rounds", 'every reveal is recorded once');
my $lines = 0;
$lines += () = read_file($_) =~ /\n/g for @segments;
is($node->ask('regress_auditor', 'SELECT count(*) FROM redoubt.audit_records()'), $lines, 'every line of every segment is shown');
is($node->ask('regress_auditor', 'SELECT segments || $$|$$ || records FROM redoubt.verify_audit()'), "$count|@{[ $lines - $count ]}", 'and verified, headers not counted');
my $log = $node->log_text;
for my $number (1 .. $count - 1) {
  my ($sequence, $mac) = read_file($segments[ $number - 1 ]) =~ /"sequence":(\d+)\},"mac":"([0-9a-f]{64})"\}\n\z/;
  like($log, qr/redoubt audit: segment $number closed at sequence $sequence, mac $mac\n/, "segment $number: its head is in the server log");
}

# Who may look.
for my $role (qw(regress_clerk regress_lead)) {
  $node->fails_with($role, 'SELECT * FROM redoubt.audit', '42501', qr/permission denied/, "$role may not read the trail");
  $node->fails_with($role, 'SELECT * FROM redoubt.verify_audit()', '42501', qr/permission denied/, "$role may not verify it");
}

# damage SEGMENT, CHANGE, PATTERN, TITLE: CHANGE gets the segment's lines and returns what replaces
# them, or nothing for no file at all; afterwards the file is put back.
sub damage {
  my ($number, $change, $pattern, $title) = @_;
  my $file = $segments[ $number - 1 ];
  my $content = read_file($file);
  my @changed = $change->($content =~ /([^\n]*\n)/g);
  if (@changed) { write_file($file, join('', @changed)) }
  else { unlink $file or die "$file: $!" }
  like($node->verdict, $pattern, $title);
  write_file($file, $content);
  chmod 0600, $file or die "$file: $!";
  is($node->verdict, 't', "$title: well again when put back");
  return;
}

# One byte, wherever it is.
my $name = basename($segments[1]);
my $middle = 20;
damage(2, sub { $_[ $middle - 1 ] =~ s/"count":1/"count":2/ or $_[ $middle - 1 ] =~ s/intent/intemt/ or die; @_ },
  qr/^f\|\Q$name\E\|$middle\|\w/, 'a doctored value');
damage(2, sub { substr($_[ $middle - 1 ], 100, 1) ^= "\x01"; @_ }, qr/^f\|\Q$name\E\|$middle\|/, 'a bit within a record');
damage(2, sub { substr($_[ $middle - 1 ], -10, 1) =~ tr/0-9a-f/1-9a-f0/; @_ }, qr/^f\|\Q$name\E\|$middle\|/, 'a digit of a mac');
damage(2, sub { $_[ $middle - 1 ] =~ s/"sequence":(\d+)/'"sequence":' . ($1 + 1)/e or die; @_ }, qr/^f\|\Q$name\E\|$middle\|/, 'a sequence number');
damage(2, sub { $_[ $middle - 1 ] =~ s/\n/ \n/ or die; @_ }, qr/^f\|\Q$name\E\|$middle\|/, 'a trailing blank');
damage(2, sub { substr($_[ $middle - 1 ], 50, 1) = "\0"; @_ }, qr/^f\|\Q$name\E\|$middle\|/, 'a zero byte');
damage(2, sub { $_[0] =~ s/"time":\d/"time":9/ or die; @_ }, qr/^f\|\Q$name\E\|1\|/, 'a segment header');
damage(2, sub { my $whole = join '', @_; substr($whole, 200) = "\xff" x 40_000; $whole }, qr/^f\|segment-0000000003\.jsonl\|1\|/, 'forty thousand bytes without a line end');

# Lines.
damage(2, sub { splice @_, $middle - 1, 1; @_ }, qr/^f\|\Q$name\E\|$middle\|/, 'a line removed');
damage(2, sub { splice @_, $middle - 1, 0, $_[ $middle - 1 ]; @_ }, qr/^f\|\Q$name\E\|@{[ $middle + 1 ]}\|/, 'a line repeated');
damage(2, sub { splice @_, $middle - 1, 0, "{}\n"; @_ }, qr/^f\|\Q$name\E\|$middle\|/, 'a line added');
damage(2, sub { @_[ $middle - 1, $middle ] = @_[ $middle, $middle - 1 ]; @_ }, qr/^f\|\Q$name\E\|$middle\|/, 'two lines exchanged');
damage(2, sub { @_[ 0 .. $#_ - 2 ] }, qr/^f\|segment-0000000003\.jsonl\|1\|/, 'the last two lines of a segment removed');
damage(2, sub { $_[0] }, qr/^f\|segment-0000000003\.jsonl\|1\|/, 'all lines but the header removed');
damage(2, sub { (@_, "more\n") }, qr/^f\|\Q$name\E\|\d+\|/, 'a line added at the end of a segment');
damage(2, sub { '' }, qr/^f\|segment-0000000003\.jsonl\|1\|/, 'an emptied segment');

# Segments.
damage(2, sub { () }, qr/^f\|\Q$name\E\|\|the segment is missing$/, 'a segment removed');
damage(1, sub { () }, qr/^f\|segment-0000000001\.jsonl\|\|the segment is missing$/, 'the first segment removed');
damage(2, sub { read_file($segments[2]) }, qr/^f\|\Q$name\E\|1\|/, 'a segment replaced by another');
is($node->ask('regress_auditor', q{SELECT count(*) FROM redoubt.audit_records() WHERE record IS NULL}), '0', 'every line is JSON now');

# A damaged line hides no other.
my $content = read_file($segments[1]);
write_file($segments[1], $content =~ s/\n\{/\nx/r);
is($node->ask('regress_auditor', q{SELECT string_agg(segment || ':' || line, ',') FROM redoubt.audit_records() WHERE record IS NULL}),
  '2:2', 'a line that is no JSON is shown as such');
cmp_ok($node->ask('regress_auditor', 'SELECT count(*) FROM redoubt.audit_records()'), '>=', $lines, 'beside all others');
write_file($segments[1], $content);

# The current segment: the server remembers where it ended, so even its end is not to be cut.
sub current { return ($node->audit_segments)[-1] }
my $last = current();
$content = read_file($last);
my $last_name = basename($last);
write_file($last, $content =~ s/[^\n]*\n\z//r);
like($node->verdict, qr/^f\|\Q$last_name\E\|/, 'the last line of the current segment removed');
$node->ask('regress_lead', $reveal);
isnt(current(), $last, 'writing goes on in a new segment');
like($node->log_text, qr/segment \d+ was altered from outside the server\n.*HINT:.*verify_audit/, 'and the server log tells');
like($node->verdict, qr/^f\|segment-\d+\.jsonl\|1\|/, 'the gap is found after that as well');
write_file($last, $content);
is($node->verdict, 't', 'and the trail is whole when the line is put back');

$last = current();
$content = read_file($last);
unlink $last or die;
$node->ask('regress_lead', $reveal);
like($node->verdict, qr/^f\|\Q@{[ basename($last) ]}\E\|\|the segment is missing$/, 'the current segment removed');
write_file($last, $content);
is($node->verdict, 't', 'and well again when put back');

# A trail removed altogether while the server runs.
my $aside = $node->basedir . '/aside';
rename $node->audit_directory, $aside or die;
mkdir $node->audit_directory, 0700 or die;
$node->ask('regress_lead', $reveal);
like($node->verdict, qr/^f\|segment-0000000001\.jsonl\|\|the segment is missing$/, 'a trail started over is found out');

done_testing();
