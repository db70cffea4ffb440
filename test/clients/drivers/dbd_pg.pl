# dbd_pg.pl - the support application through DBD::Pg.
use strict;
use warnings;
use utf8;
use DBI;
use FindBin;

binmode STDOUT, ':encoding(UTF-8)';
$| = 1;

sub open_as {
  return DBI->connect("dbi:Pg:dbname=$ENV{PGDATABASE};host=$ENV{PGHOST};port=$ENV{PGPORT}", $_[0], undef,
    { RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_enable_utf8 => 1 });
}

my $db = open_as('support_user');

sub shown {
  my ($value) = @_;
  return 'NULL' unless defined $value;
  return ref $value eq 'ARRAY' ? '[' . join(', ', map { shown($_) } @$value) . ']' : $value;
}

sub rows { my ($found) = @_; return join('; ', map { join ' | ', map { shown($_) } @$_ } @$found) || 'no row' }

sub run {
  my ($sql, @parameters) = @_;
  my $statement = $db->prepare($sql);
  my $count = $statement->execute(@parameters);
  return $statement->{NUM_OF_FIELDS} ? rows($statement->fetchall_arrayref) : $count + 0 . ' rows';
}

sub attempt {
  my ($name, $code) = @_;
  my $result = eval { $code->() };
  if ($@) {
    $result = 'error ' . ($db->state || $@);
    $db->rollback unless $db->{AutoCommit};
  }
  print "$name\t", $result =~ s/\n/\\n/gr, "\n";
}

my %kinds = (t => sub { $_[0] }, i => sub { $_[0] + 0 }, a => sub { [ split /,/, $_[0] ] }, n => sub { undef });
open my $in, '<:encoding(UTF-8)', "$FindBin::Bin/operations.tsv" or die $!;
while (my $line = <$in>) {
  next if $line =~ /^#/;
  chomp $line;
  my ($name, $sql, @parameters) = split /\t/, $line, -1;
  attempt($name, sub {
    my $result = run($sql, map { $kinds{ substr $_, 0, 1 }->(substr $_, 2) } @parameters);
    return $name =~ /^plan: / ? $result =~ s/; .*//r : $result;
  });
}

attempt('in bulk', sub {
  my $insert = $db->prepare('INSERT INTO customer (email, name) VALUES (?, ?)');
  $insert->execute_array({}, [ map { "many$_\@example.com" } 0 .. 2 ], [ map { "Many $_" } 0 .. 2 ]);
  return run("SELECT email, name FROM customer WHERE name LIKE 'Many%' ORDER BY id");
});
attempt('whole row written back', sub {
  my $row = $db->selectrow_arrayref('SELECT email, name, phone, aliases, notes FROM customer WHERE id = 60');
  $db->do('UPDATE customer SET email = ?, name = ?, phone = ?, aliases = ?, notes = ? WHERE id = 60', {}, @$row);
  return run('SELECT email, name, phone, aliases[1] FROM customer WHERE id = 60');
});
attempt('typed parameters', sub {
  my $look = $db->prepare('SELECT id FROM customer WHERE email = ?');
  $look->bind_param(1, 'anna.65@example.org', { pg_type => DBD::Pg::PG_VARCHAR() });
  $look->execute;
  return rows($look->fetchall_arrayref);
});
attempt('savepoint', sub {
  $db->begin_work;
  $db->pg_savepoint('one');
  my $seen = eval { $db->do("INSERT INTO customer (email) VALUES ('ben.61\@example.org')"); 'no error' } // $db->state;
  $db->pg_rollback_to('one');
  my ($email) = $db->selectrow_array("INSERT INTO customer (email) VALUES ('after.savepoint\@example.org') RETURNING email");
  $db->commit;
  return "$seen $email";
});
attempt('ten times', sub {
  my $look = $db->prepare('SELECT id FROM customer WHERE email = ?');
  return join ' ', map { $look->execute("anna." . 5 * $_ . "\@example.org"); $look->fetchrow_array // "nobody" } 70 .. 79;
});
attempt('a cursor', sub {
  $db->begin_work;
  $db->do('DECLARE customers CURSOR FOR SELECT id, email FROM customer WHERE id < 96 AND id > 80 ORDER BY id');
  my @found;
  while (my @some = @{ $db->selectall_arrayref('FETCH 4 FROM customers') }) { push @found, @some }
  $db->commit;
  return rows(\@found);
});
attempt('COPY in', sub {
  $db->do('COPY customer (email, name) FROM STDIN');
  $db->pg_putcopydata("copy$_\@example.com\tCopy $_\n") for 1, 2;
  $db->pg_putcopyend;
  return run("SELECT email, name FROM customer WHERE name LIKE 'Copy%' ORDER BY id");
});
attempt('COPY out', sub {
  $db->do('COPY (SELECT id, email, name FROM customer WHERE id IN (90, 91) ORDER BY id) TO STDOUT');
  my ($all, $line) = ('', '');
  $all .= $line while $db->pg_getcopydata($line) >= 0;
  return $all;
});
attempt('an array', sub {
  my ($value) = $db->selectrow_array('SELECT aliases FROM customer WHERE id = 92');
  return (ref $value || 'text') . ' ' . shown($value);
});
attempt('a limit', sub {
  my $other = open_as('support_limited');
  my $seen = eval { scalar @{ $other->selectall_arrayref('SELECT email FROM customer WHERE id < 21') } } // 'error ' . $other->state;
  return "$seen; then " . $other->selectrow_array('SELECT 1') . ', ping ' . $other->ping;
});
