"""The PHP buildpack: Apache with mod_php, and Perl CGI. Standard library only, Python 3.11 and later."""
