# audit_heads.pl - proves that each closed segment gets a signed head, that bin/redoubt-verify-audit verifies a copy of the
# trail by the public key alone and finds what was changed, and that a trail verifies after a change of the KEK without the
# old one.
use strict;
use warnings;
use File::Basename qw(basename);
use File::Copy qw(copy);
use File::Path qw(rmtree);
use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run qw(run);
use POSIX qw(mkfifo);
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Test::More;

my $node = RedoubtNode->make('audit_heads', conf => ['redoubt.audit_segment_size = 64kB']);
$node->admin('CREATE ROLE regress_auditor LOGIN IN ROLE redoubt_auditor');
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1;';
my $audit = $node->audit_directory;
my $copy = $node->basedir . '/copy';
my $archive = $node->basedir . '/archive';
mkdir $archive, 0700 or die;

sub segment { return sprintf '%s/segment-%010d.jsonl', $_[1] // $copy, $_[0] }
# Waits until all closed segments are signed; returns how many there are.
sub signed {
  my ($archived) = @_;
  my ($last) = ($node->audit_segments)[-1] =~ /segment-0*(\d+)/;
  my $key = $node->admin('SELECT redoubt.audit_public_key()');
  for (1 .. 300) {
    my %heads = map { /^\{"head":(\d+),"format":1,"archived":([01]).*"public_key":"$key"/ ? ("$1 $2" => 1) : () } split /\n/, -e "$audit/heads.jsonl" ? read_file("$audit/heads.jsonl") : '';
    return $last - 1 unless grep { !$heads{"$_ 0"} && !$heads{"$_ 1"} || $archived && $_ <= $archived && !$heads{"$_ 1"} } 1 .. $last - 1;
    select undef, undef, undef, 0.1;
  }
  die 'the worker signs nothing';
}
sub take_copy {
  rmtree($copy);
  mkdir $copy, 0700 or die;
  copy($_, "$copy/" . basename($_)) or die for "$audit/heads.jsonl", $node->audit_segments;
  return;
}
our @keys;
# What the script prints of the copy, after its exit status.
sub verify {
  my (@options) = @_;
  my ($out, $err) = ('', '');
  run([ "$FindBin::RealBin/../../bin/redoubt-verify-audit", (map { ('--public-key', $_) } @keys), @options, $copy ], '<', '/dev/null', '>', \$out, '2>', \$err);
  return ($? >> 8) . ": $out$err";
}

# The key, and who may see it.
@keys = $node->ask('regress_auditor', 'SELECT redoubt.audit_public_key()');
like($keys[0], qr/^[0-9a-f]{64}$/, 'there is a public key');
$node->fails_with('regress_lead', 'SELECT redoubt.audit_public_key()', '42501', qr/permission denied/, 'for auditors');

# A whole trail.
$node->ask('regress_lead', $reveal x 200);
my $closed = signed();
cmp_ok($closed, '>', 4, 'closed segments are signed');
is((stat "$audit/heads.jsonl")[2] & 077, 0, 'nobody else may read the heads');
take_copy();
my $records = $node->admin("SELECT count(*) FROM redoubt.audit WHERE segment <= $closed");
like(verify(), qr/^0: segments 1 to $closed: verified\nsegment @{[ $closed + 1 ]}: not signed yet\nWHOLE to segment $closed: $records events verified, \d+ lines not signed yet, 0 anchors, 0 broken\n$/, 'a copy verifies by the public key');
my $lines = () = read_file("$audit/heads.jsonl") =~ /\n/g;
$node->restart;
$node->ask('regress_lead', $reveal);
$closed = signed();
is(scalar(() = read_file("$audit/heads.jsonl") =~ /\n/g), $lines + 1, 'each segment is signed once');

# What was changed is found, without the key that chains the trail.
sub changed {
  my ($title, $change, $pattern) = @_;
  take_copy();
  $change->();
  like(verify(), $pattern, $title);
  return;
}
sub edit { my ($file, $edit) = @_; local $_ = read_file($file); my $before = $_; $edit->(); die 'nothing changed' if $_ eq $before; write_file($file, $_); return }
changed('a record altered', sub { edit(segment(2), sub { s/"count":1/"count":2/ }) }, qr/^1: .*segment 2: BROKEN: it is not what was signed\n.*NOT WHOLE: .* 1 broken/s);
changed('a line removed', sub { edit(segment(2), sub { s/\n[^\n]*\n/\n/ }) }, qr/^1: .*segment 2: BROKEN: it is not what was signed/s);
changed('a segment removed', sub { unlink segment(2) }, qr/^1: .*segment 2: BROKEN: missing\n.* 1 broken/s);
changed('the first one removed', sub { unlink segment(1) }, qr/^1: segment 1: BROKEN: missing\n/);
changed('a segment and its head removed', sub { unlink segment(2); edit("$copy/heads.jsonl", sub { s/^\{"head":2,.*\n//m }) }, qr/^1: .*segment 2: BROKEN: missing\n/s);
changed('the last ones removed', sub { unlink segment($closed), segment($closed + 1) }, qr/^1: .*segment $closed: BROKEN: missing\n/s);
changed('two segments exchanged', sub { rename segment(2), "$copy/x"; rename segment(3), segment(2); rename "$copy/x", segment(3) }, qr/^1: .*segments 2 to 3: BROKEN: it is not what was signed\n/s);
changed('a head removed', sub { edit("$copy/heads.jsonl", sub { s/^\{"head":2,.*\n//m }) }, qr/^1: .*segment 2: BROKEN: no head is signed\n/s);
changed('a head altered', sub { edit("$copy/heads.jsonl", sub { s/("head":2,.*"records":)(\d)/$1 . (($2 + 1) % 10)/e }) }, qr/^1: heads\.jsonl, line 2: BROKEN: the signature is not that of the line\n/);
changed('a signature altered', sub { edit("$copy/heads.jsonl", sub { s/("head":2,.*"signature":")(.)/$1 . ($2 eq '0' ? '1' : '0')/e }) }, qr/^1: heads\.jsonl, line 2: BROKEN: the signature/);
changed('a missing segment made to look archived', sub { unlink segment(2); edit("$copy/heads.jsonl", sub { s/("head":2,"format":1,"archived":)0/${1}1/ }) }, qr/^1: heads\.jsonl, line 2: BROKEN: the signature.*segment 2: BROKEN: missing/s);
changed('another key in a head', sub { edit("$copy/heads.jsonl", sub { s/("head":2,.*"public_key":")[0-9a-f]{64}/$1 . '0' x 64/e }) }, qr/^1: heads\.jsonl: 1 heads are signed by other keys, and prove nothing\n.*segment 2: BROKEN: no head/s);
changed('rubbish among the heads', sub { edit("$copy/heads.jsonl", sub { $_ .= "\0\xff\n" }) }, qr/^1: heads\.jsonl, line \d+: BROKEN: not a head\n/);
changed('the current segment cut', sub { edit(segment($closed + 1), sub { s/\n[^\n]*\n/\n/ }) }, qr/^1: .*segment @{[ $closed + 1 ]}: BROKEN: the sequence number of line \d+ does not follow\n/s);
changed('a symlink', sub { rename segment(2), "$copy/x"; symlink "$copy/x", segment(2) }, qr/^2: .*symbolic link/s);
changed('a pipe', sub { unlink segment(2); mkfifo(segment(2), 0600) }, qr/^2: .*not a regular file/s);
changed('no heads', sub { unlink "$copy/heads.jsonl" }, qr/^2: .*no head in .* is signed by a key that was given\n/s);
changed('no segments', sub { unlink glob("$copy/segment-*") }, qr/^2: .*no segments/s);
{
  local @keys = ('0' x 64);
  changed('another public key', sub { }, qr/^2: .*no head in .* is signed by a key that was given\n/s);
  local @keys = ('x');
  changed('a public key that is none', sub { }, qr/^2: .*a public key has 64 hexadecimal digits/s);
}

# A segment that was changed before it was signed is not signed, until it is put back.
{
  $node->stop;
  unlink "$audit/heads.jsonl" or die;
  my $good = read_file(segment(2, $audit));
  write_file(segment(2, $audit), $good =~ s/"count":1/"count":2/r);
  $node->start;
  $node->ask('regress_lead', $reveal);
  $node->poll_query_until('postgres', q{SELECT count(*) > 3 FROM regexp_split_to_table(coalesce(pg_read_file('redoubt_audit/heads.jsonl', 0, 1000000, true), ''), E'\n') AS l WHERE l <> ''}) or die 'nothing is signed';
  unlike(read_file("$audit/heads.jsonl"), qr/"head":2,/, 'a damaged segment is not signed');
  write_file(segment(2, $audit), $good);
  $node->restart;
  $node->ask('regress_lead', $reveal);
  $closed = signed();
  take_copy();
  like(verify(), qr/^0: segments 1 to $closed: verified\n/, 'put back, it is');
}

# Archived segments.
$node->set_conf("redoubt.audit_archive_directory = '$archive'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('redoubt.audit_archive_directory') = '$archive'") or die 'no reload';
my $moved = $node->ask('regress_auditor', q{SELECT count(*) FROM redoubt.archive_audit('infinity')});
signed($moved);
take_copy();
like(verify(), qr/^0: segments 1 to $moved: archived\n.*WHOLE/s, 'what was archived is signed as archived');
changed('an archived segment that is none', sub { edit("$copy/heads.jsonl", sub { s/^\{"head":2,"format":1,"archived":1,.*\n//mg }) }, qr/^1: .*segment 2: BROKEN: missing/s);

# Another KEK: what the old one chained is signed by the new one as long as both are there, and verifies without the old.
$node->ask('regress_lead', $reveal x 100);
signed();
my $old = $node->basedir . '/kek';
$node->set_conf("redoubt.kek_file = '" . $node->new_kek('kek2') . "'", "redoubt.previous_kek_file = '$old'");
$node->restart;
$node->admin('SELECT redoubt.rewrap_keys()');
$node->ask('regress_lead', $reveal);
push @keys, $node->admin('SELECT redoubt.audit_public_key()');
isnt($keys[1], $keys[0], 'another KEK has another public key');
$closed = signed($moved);
$node->set_conf("redoubt.previous_kek_file = ''");
$node->restart;
$node->ask('regress_lead', $reveal);
is($node->verdict, 't', 'without the old KEK the trail verifies');
like($node->ask('regress_auditor', 'SELECT segment, state FROM redoubt.verify_audit_segments()'), qr/^1\|archived\n\d+\|signed\n/, 'by its signed heads');
is($node->ask('regress_auditor', 'SELECT count(*) - (SELECT records FROM redoubt.verify_audit()) FROM redoubt.audit'), '0', 'every event of it');
take_copy();
{
  local @keys = $keys[1];
  like(verify(), qr/^0: heads\.jsonl: \d+ heads are signed by other keys, and prove nothing\n.*\nWHOLE/s, 'a copy verifies by the new key');
}
like(verify(), qr/^0: .*\nWHOLE/s, 'and by both');
my ($signed) = $node->audit_segments;
my $good = read_file($signed);
write_file($signed, $good =~ s/"regress_lead"/"regress_liar"/r);
like($node->verdict, qr/^f\|\|\|1 of the segments \d+ to \d+ cannot be verified: chained under another key/, 'a segment of the old KEK that was changed does not verify');
write_file($signed, $good);
rename "$audit/heads.jsonl", "$audit/heads.aside" or die;
like($node->verdict, qr/^f\|\|\|\d+ of the segments \d+ to \d+ cannot be verified: chained under another key/, 'nor does one without a head');
rename "$audit/heads.aside", "$audit/heads.jsonl" or die;
is($node->verdict, 't', 'well again when put back');

done_testing();
