#!/usr/bin/perl
use strict;
use warnings;
use CGI qw(escapeHTML);

my $cgi  = CGI->new;
my $name = escapeHTML( scalar $cgi->param('name') // 'world' );
print $cgi->header( -charset => 'utf-8' );
print "<!doctype html>\n<title>Hello</title>\n<h1>Hello, $name, from Perl $^V in @{[ $ENV{DYNO} // 'no dyno' ]}</h1>\n";
