# RedoubtNode.pm - a PostgreSQL::Test::Cluster with Redoubt on it, and what the
# TAP tests ask of it.
#
# What it is not: it holds no test of its own except fails_with(), which checks
# an error's SQLSTATE and text in one go.
#
# Every server starts as a DBA would run it, apart from fsync: log_statement is
# none (PostgreSQL::Test::Cluster's "all" would put plaintext literals into the
# log), and the key-encryption key lies beside the data directory, not in it.
package RedoubtNode;

use strict;
use warnings;
use Exporter ();
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils qw(run_command slurp_file system_or_bail);
use Test::More;

our @ISA = ('PostgreSQL::Test::Cluster');
our @EXPORT_OK = qw(write_file read_file say_to end_of);
*import = \&Exporter::import;

# make NAME, OPTIONS: an initialised, running server.
#   install => FOLDER, with a PostgreSQL in it that is not the one of the PATH
#   conf => [lines], streaming => allows_streaming, people => 0 to leave the database empty
sub make {
  my ($class, $name, %options) = @_;
  my $node = $class->new($name, defined $options{install} ? (install_path => $options{install}) : ());
  $node->init(allows_streaming => $options{streaming} // 0, extra => [ '--encoding=UTF8', '--locale=C.UTF-8', '--data-checksums' ]);
  $node->append_conf('postgresql.conf', "log_statement = none\nlog_replication_commands = off\n");
  $node->append_conf('postgresql.conf', "shared_preload_libraries = 'redoubt'");
  $node->append_conf('postgresql.conf', "redoubt.kek_file = '" . $node->new_kek('kek') . "'");
  $node->append_conf('postgresql.conf', join("\n", @{ $options{conf} // [] }));
  $node->start;
  $node->people unless defined $options{people} && !$options{people};
  return $node;
}

# make_small NAME, SIZE, OPTIONS: the same, with its audit trail on a tmpfs of that size in a mount namespace that only the
# server sees.  Returns it, where the trail's file system is, and what stops it; nothing where nobody may mount one.
sub make_small {
  my ($class, $name, $size, %options) = @_;
  my $node = $class->make($name, %options);
  $node->stop;
  my $mount = $node->basedir . '/small';
  mkdir $mount or die;
  my $uid = $>;
  my ($gid) = split ' ', $);
  my @inside = ('unshare', '-r', '-m', 'sh', '-c',
    "mount -t tmpfs -o size=$size none '$mount' && exec unshare -U --map-user=$uid --map-group=$gid \"\$@\"", 'sh');
  return unless eval { IPC::Run::run([ @inside, 'true' ], '>', '/dev/null', '2>', '/dev/null') };
  $node->set_conf("redoubt.audit_directory = '$mount/audit'");
  my @pg_ctl = ('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile);
  system_or_bail(@inside, @pg_ctl, 'start');
  return ($node, $mount, sub { system_or_bail(@pg_ctl, '-m', 'fast', 'stop') });
}

# shell COMMAND: runs it as the server does, where it sees its file systems.
sub shell { return $_[0]->admin("COPY (SELECT 1 WHERE false) TO PROGRAM '$_[1]'") }

# new_kek NAME: writes a random key-encryption key beside the data directory; returns its path.
sub new_kek {
  my ($node, $name) = @_;
  open my $random, '<:raw', '/dev/urandom' or die "/dev/urandom: $!";
  read($random, my $key, 32) == 32 or die 'no randomness';
  my $file = $node->basedir . "/$name";
  write_file($file, unpack('H*', $key) . "\n");
  chmod 0600, $file or die "$file: $!";
  return $file;
}

# people: the extension, three roles and five people.
#   regress_lead   reveals, sees masked and tokenizes e-mail addresses and telephone numbers
#   regress_agent  sees them masked
#   regress_clerk  holds nothing but the table
sub people {
  my ($node) = @_;
  $node->safe_psql('postgres', <<~'SQL');
    CREATE EXTENSION redoubt;
    CREATE ROLE regress_lead LOGIN;
    CREATE ROLE regress_agent LOGIN;
    CREATE ROLE regress_clerk LOGIN;
    GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token),
      redoubt.email_token(text), redoubt.detokenize(redoubt.phone_token), redoubt.mask(redoubt.phone_token),
      redoubt.phone_token(text) TO regress_lead;
    GRANT EXECUTE ON FUNCTION redoubt.mask(redoubt.email_token), redoubt.mask(redoubt.phone_token) TO regress_agent;
    CREATE TABLE person (id integer PRIMARY KEY, email redoubt.email_token UNIQUE, phone redoubt.phone_token);
    GRANT SELECT, INSERT, UPDATE, DELETE ON person TO regress_lead, regress_agent, regress_clerk;
    SQL
  $node->ask('regress_lead', <<~'SQL');
    INSERT INTO person
    SELECT i, 'person' || i || '@example.com', '+1202555010' || i FROM generate_series(1, 5) AS i;
    SQL
  return;
}

# ask ROLE, SQL, [database => NAME]: what psql prints; an error ends the test.
sub ask {
  my ($node, $role, $sql, %options) = @_;
  return $node->safe_psql($options{database} // 'postgres', $sql, extra_params => $role eq '' ? [] : [ '-U', $role ]);
}

# admin SQL, [database => NAME]: the same as the superuser.
sub admin {
  my ($node, $sql, %options) = @_;
  return $node->ask('', $sql, %options);
}

# fails_with ROLE, SQL, SQLSTATE, PATTERN, TITLE, [database => NAME]: passes if SQL fails with
# SQLSTATE and psql's verbose report of it, hint included, matches PATTERN.  Returns the report.
sub fails_with {
  my ($node, $role, $sql, $sqlstate, $pattern, $title, %options) = @_;
  my ($out, $err) = ('', '');
  my @as = $role eq '' ? () : ('-U', $role);
  my $rc = $node->psql(
    $options{database} // 'postgres', $sql,
    stdout => \$out, stderr => \$err, on_error_stop => 1,
    extra_params => [ '-v', 'VERBOSITY=verbose', @as ]);
  my ($got) = $err =~ /ERROR:  (\w{5}):/;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $ok = ok($rc != 0 && ($got // '') eq $sqlstate && $err =~ $pattern, $title);
  diag("psql returned $rc, printed \"$out\" and reported:\n$err") unless $ok;
  return $err;
}

# connects ROLE: whether a connection comes about.  Without standard input: a psql that ends before it has read what there
# is ends the test that writes it.
sub connects {
  my ($node, $role) = @_;
  return IPC::Run::run([ 'psql', '-X', '-U', $role, '-d', $node->connstr('postgres'), '-c', 'SELECT 1' ], '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
}

# session_of ROLE: a session of which each line is answered.  say_to SESSION, SQL: what it prints, errors included.
# end_of SESSION: ends it.
sub session_of {
  my ($node, $role) = @_;
  my %one = (in => '', out => '', err => '');
  $one{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-U', $role, '-d', $node->connstr('postgres') ], '<', \$one{in}, '>', \$one{out}, '2>', \$one{err}, IPC::Run::timeout(120));
  return \%one;
}
sub say_to {
  my ($one, $sql) = @_;
  $one->{out} = $one->{err} = '';
  $one->{in} = "$sql;\n\\echo answered\n";
  $one->{run}->pump until $one->{out} =~ /answered/;
  return $one->{out} =~ s/answered\n//r . $one->{err};
}
sub end_of {
  my ($one) = @_;
  $one->{in} = "\\q\n";
  $one->{run}->finish;
  return;
}

# pg_dump OPTIONS: what pg_dump prints, without the random \restrict key of newer versions.
#   as => ROLE, database => NAME, environment => {}, options => [...]
sub pg_dump {
  my ($node, %options) = @_;
  local %ENV = (%ENV, %{ $options{environment} // {} });
  my @as = defined $options{as} ? ('-U', $options{as}) : ();
  my ($out, $err) = run_command([ 'pg_dump', @as, '-d', $node->connstr($options{database} // 'postgres'), @{ $options{options} // [] } ]);
  die "pg_dump: $err" if $err ne '';
  return $out =~ s/^\\(?:un)?restrict .*\n?//mgr;
}

# set_conf LINE...: appended, so the last one counts; takes effect at reload or restart.
sub set_conf {
  my ($node, @lines) = @_;
  $node->append_conf('postgresql.conf', join("\n", @lines));
  return;
}

# audit_directory; audit_segments: the full names of its segment files, in order.
sub audit_directory { return $_[0]->data_dir . '/redoubt_audit' }

sub audit_segments {
  my ($node) = @_;
  my @files = sort glob($node->audit_directory . '/segment-*.jsonl');
  return @files;
}

# verdict: one line, "t" when the trail verifies, else "f|segment file|line|problem".
sub verdict {
  my ($node) = @_;
  my $row = $node->admin(<<~'SQL');
    SELECT ok, broken_segment, broken_line, problem FROM redoubt.verify_audit();
    SQL
  return $row eq 't|||' ? 't' : $row;
}

# log_text [OFFSET]: the server log from OFFSET; log_size: where it ends now.
sub log_text {
  my ($node, $offset) = @_;
  return slurp_file($node->logfile, $offset // 0);
}

sub log_size { return -s $_[0]->logfile }

# came_back OFFSET: waits until a server that a killed process had restart takes connections.  A psql that is refused
# reads no query, and whoever writes it one gets a broken pipe.
sub came_back {
  my ($node, $offset) = @_;
  return $node->wait_for_log(qr/database system is ready to accept connections/, $offset);
}

sub write_file {
  my ($file, $content) = @_;
  open my $out, '>:raw', $file or die "$file: $!";
  print {$out} $content or die "$file: $!";
  close $out or die "$file: $!";
  return;
}

sub read_file {
  my ($file) = @_;
  open my $in, '<:raw', $file or die "$file: $!";
  local $/;
  return scalar <$in>;
}

1;
