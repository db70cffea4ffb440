# audit_packed.pl - proves that closed segments of the trail can be gzip files, packed by the worker or by hand: queries,
# verification, heads, the archive, a restart and the stand-alone verifier find in them what was there, and damage is named.
use strict;
use warnings;
use Compress::Zlib qw(memGzip memGunzip);
use Digest::SHA qw(sha256_hex);
use File::Basename qw(basename);
use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run qw(run);
use RedoubtNode qw(read_file write_file);
use Test::More;

my $node = RedoubtNode->make('audit_packed', conf => [ 'redoubt.audit_segment_size = 64kB', 'autovacuum = off' ]);
$node->admin('CREATE ROLE regress_auditor LOGIN IN ROLE redoubt_auditor');
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1;';
my $audit = $node->audit_directory;
my $key = $node->ask('regress_auditor', 'SELECT redoubt.audit_public_key()');

sub plain { return sprintf '%s/segment-%010d.jsonl', $audit, $_[0] }
sub packed { return plain($_[0]) . '.gz' }
sub plain_ones { return join ' ', map { /segment-0*(\d+)/ } $node->audit_segments }
sub more { $node->ask('regress_lead', $reveal x 120); return }
sub last_segment { return ($node->audit_segments)[-1] =~ /segment-0*(\d+)/ ? $1 : die 'there is none' }
sub until_true {
  my ($what, $test) = @_;
  for (1 .. 300) {
    return if $test->();
    select undef, undef, undef, 0.1;
  }
  die "$what: in vain";
}
sub set {
  my ($setting) = @_;
  $node->set_conf($setting);
  $node->reload;
  return;
}
sub until_packed { my ($last) = @_; until_true('packing', sub { plain_ones() eq $last && !glob("$audit/*.new") }); return }
sub summary { return $node->ask('regress_auditor', 'SELECT ok, broken_segment, broken_line, problem FROM redoubt.verify_audit()') }
# Every line up to a segment, as one digest.
sub digest {
  my ($last) = @_;
  return $node->ask('regress_auditor', qq{SELECT count(*), sha256(string_agg(l::text, ',' ORDER BY segment, line)::bytea) FROM redoubt.audit_line AS l WHERE segment <= $last});
}
sub verifier {
  my ($out, $err) = ('', '');
  run([ "$FindBin::RealBin/../../bin/redoubt-verify-audit", '--public-key', $key, $audit ], '<', '/dev/null', '>', \$out, '2>', \$err);
  return ($? >> 8) . ": $out$err";
}

# The worker packs what is closed and signed, and nothing that is read changes.
more();
my $current = last_segment();
cmp_ok($current, '>', 3, 'there are closed segments');
is(plain_ones(), join(' ', 1 .. $current), 'which are plain files');
my %content = map { $_ => read_file(plain($_)) } 1 .. $current - 1;
my $before = digest($current - 1);
set('redoubt.audit_compress = on');
until_packed($current);
is(scalar(grep { memGunzip(read_file(packed($_))) ne $content{$_} } 1 .. $current - 1), 0, 'each packed file holds what the plain one held');
is(scalar(grep { (stat packed($_))[2] & 077 } 1 .. $current - 1), 0, 'nobody else may read them');
cmp_ok(-s packed(1), '<', 0.3 * length $content{1}, 'they are small');
is(digest($current - 1), $before, 'a query finds the same records');
is(digest($current - 1), $before, 'also when there are indexes');
is($node->ask('regress_auditor', 'SELECT min(segment), max(segment) FROM redoubt.audit WHERE segment = 2'), '2|2', 'one of them is asked for');
is($node->ask('regress_auditor', 'SELECT min(sequence) FROM redoubt.audit_line'), 1, 'the oldest record is there');
is(summary(), 't|||', 'the trail verifies');
like($node->ask('regress_auditor', q{SELECT string_agg(DISTINCT state, ',') FROM redoubt.verify_audit_segments()}), qr/^verified$/, 'segment by segment, too');
like(verifier(), qr/^0: .*WHOLE to segment @{[ $current - 1 ]}: /s, 'so it does without the server');
is(join(' ', glob "$audit/unpacked.*"), '', 'nothing unpacked is left');

# A reader of a packed segment, in a cursor that outlives a subtransaction.
is($node->ask('regress_auditor', <<~'SQL'), "2\n3\n4", 'a cursor goes on after a subtransaction');
  BEGIN;
  DECLARE c CURSOR FOR SELECT sequence FROM redoubt.audit ORDER BY sequence;
  SAVEPOINT s;
  FETCH 1 FROM c;
  RELEASE s;
  FETCH 1 FROM c;
  SAVEPOINT s;
  FETCH 1 FROM c;
  ROLLBACK;
  SQL

# Restarted, with the last segment packed by hand: the trail goes on where it was.
$node->stop;
my $last = last_segment();
is(system('gzip', '-9', plain($last)), 0, 'the last segment is packed by hand');
$node->start;
$node->ask('regress_lead', $reveal);
is(last_segment(), $last + 1, 'the next segment is the next');
is(summary(), 't|||', 'the trail is whole after a restart');
my ($header) = read_file(plain($last + 1)) =~ /^(.*)$/m;
my ($mac) = memGunzip(read_file(packed($last))) =~ /"mac":"([0-9a-f]{64})"\}\n\z/;
like($header, qr/"previous_mac":"$mac"/, 'and continues the packed one');

# A crash between the packed file and the removal of the plain one; and one in the middle of packing.
write_file(plain(1), $content{1});
write_file(packed(2) . '.new', 'half');
rename packed(2), "$audit/kept" or die;
write_file(plain(2), $content{2});
unlink "$audit/kept" or die;
is(summary(), 't|||', 'with both files, the plain one counts');
more();
until_true('packing again', sub { !-e plain(1) && !-e plain(2) });
is(memGunzip(read_file(packed($_))), $content{$_}, "segment $_ is packed again") for 1, 2;
is(join(' ', glob "$audit/*.new"), '', 'half a file is not left');

# Damage is named, and does not hide the rest.
my $good = read_file(packed(2));
my %damage = (
  'cut off' => substr($good, 0, length($good) / 2),
  'one byte changed' => substr($good, 0, length($good) / 2) . chr(ord(substr $good, length($good) / 2, 1) ^ 1) . substr($good, length($good) / 2 + 1),
  'checksum changed' => substr($good, 0, -8) . "\0\1\2\3" . substr($good, -4),
  'no gzip file' => 'segment',
  'empty' => '',
  'another content' => memGzip($content{3}),
  'a line changed' => memGzip($content{2} =~ s/"event":"reveal"/"event":"Reveal"/r),
  'one line less' => memGzip($content{2} =~ s/^.*\n\z//mr),
);
for my $what (sort keys %damage) {
  write_file(packed(2), $damage{$what});
  like(summary(), qr/^f\|segment-000000000[23]\.jsonl\|\d*\|./, "$what: verify_audit() says so");
  like(verifier(), qr/^1: .*segment 2: BROKEN/s, "$what: the stand-alone verifier, too");
  like($node->ask('regress_auditor', 'SELECT count(DISTINCT segment) FROM redoubt.audit WHERE segment IN (1, 3)'), qr/^2$/, "$what: the others are read");
}
write_file(packed(2), $good . 'what follows');
is(summary(), 't|||', 'what follows a gzip file is none of it');
write_file(packed(2), $good);
unlink packed(3) or die;
symlink '/etc/passwd', packed(3) or die;
my ($code, $out, $err) = $node->psql('postgres', 'SELECT ok FROM redoubt.verify_audit()', extra_params => [ '-U', 'regress_auditor' ]);
like($err, qr/could not read audit segment/, 'a link is not followed');
unlink packed(3) or die;
write_file(packed(3), memGzip($content{3}));
is(summary(), 't|||', 'put back, the trail is whole');

# The archive gets the content.
my $archive = $node->basedir . '/archive';
mkdir $archive, 0700 or die;
set("redoubt.audit_archive_directory = '$archive'");
$node->poll_query_until('postgres', "SELECT current_setting('redoubt.audit_archive_directory') = '$archive'") or die 'the reload had no effect';
like($node->ask('regress_auditor', q{SELECT string_agg(sha256, ' ' ORDER BY segment) FROM redoubt.archive_audit('infinity')}),
  qr/^@{[ join ' ', map { sha256_hex($content{$_}) } 1 .. 3 ]} /, 'packed segments are archived by their content');
is(read_file("$archive/" . basename(plain(2))), $content{2}, 'which is what the archive has');
is(join(' ', glob "$audit/*.gz"), '', 'the packed files are gone');
is(summary(), 't|||', 'and the trail verifies');
write_file(packed(2), $good);
is(summary(), 't|||', 'one is put back, packed');
is($node->ask('regress_auditor', q{SELECT count(*) FROM redoubt.archive_audit('infinity')}), 1, 'and archived again');
ok(!-e packed(2), 'it is gone');

# Off: what is closed stays plain.
set('redoubt.audit_compress = off');
$node->poll_query_until('postgres', q{SELECT current_setting('redoubt.audit_compress') = 'off'}) or die 'the reload had no effect';
more();
my $signed = last_segment() - 1;
until_true('signing', sub { read_file("$audit/heads.jsonl") =~ /^\{"head":$signed,/m });
ok(-e plain($signed) && !-e packed($signed), 'nothing is packed unless it is asked for');
is(summary(), 't|||', 'the trail verifies to the end');

done_testing();
