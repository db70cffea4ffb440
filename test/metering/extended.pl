#!/usr/bin/env perl
# extended.pl - runs one statement through the extended query protocol.
#
#   extended.pl ROLE ROWS SETUP SQL PARAMETER
#
# SETUP, if not empty, runs first as a simple query.  PARAMETER is given where SQL has
# a $1.  ROWS > 0 fetches that many rows and closes the portal; libpq has no way to ask
# for that, so this speaks the protocol itself.  The server is PGHOST (a folder), PGPORT.
use strict;
use warnings;
use IO::Socket::UNIX;

my ($role, $rows, $setup, $sql, $parameter) = @ARGV;
my $socket = IO::Socket::UNIX->new(Peer => "$ENV{PGHOST}/.s.PGSQL." . ($ENV{PGPORT} // 5432)) or die "connect: $!\n";
binmode $socket;

sub message { my ($type, $body) = @_; print $socket $type . pack('N', length($body) + 4) . $body; }

# Reads messages until one of type $until; true if no error came before.
sub read_until {
  my ($until) = @_;
  my $good = 1;
  $socket->flush;
  while (1) {
    read($socket, my $head, 5) == 5 or die "the server closed the connection\n";
    my ($type, $length) = unpack 'aN', $head;
    read($socket, my $body, $length - 4) if $length > 4;
    $good = 0 if $type eq 'E';
    return $good if $type eq $until;
  }
}

my $startup = pack('N', 196608) . "user\0$role\0database\0" . ($ENV{PGDATABASE} // 'postgres') . "\0\0";
print $socket pack('N', length($startup) + 4) . $startup;
read_until('Z');
if ($setup ne '') { message('Q', "$setup\0"); read_until('Z'); }
my @parameters = $sql =~ /\$1/ ? ($parameter) : ();
message('P', "\0$sql\0" . pack('n', 0));
message('B', "\0\0" . pack('nn', 0, scalar @parameters) . join('', map { pack('N', length $_) . $_ } @parameters) . pack('n', 0));
message('E', "\0" . pack('N', $rows));
message('C', "P\0");
message('S', '');
my $good = read_until('Z');
message('X', '');
exit($good ? 0 : 1);
