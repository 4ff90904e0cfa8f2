# Where to connect, from the first six fields. Nothing of it stands in an argument, and nothing that the account's own
# environment says of a connection counts. The database is one name: libpq takes PGDATABASE literally, where an argument
# may be a connection string and lead the password elsewhere.
unset PGSERVICE PGSERVICEFILE PGHOST PGHOSTADDR PGPORT PGUSER PGPASSWORD PGDATABASE PGOPTIONS PGCLUSTER PGTZ PGDATESTYLE \
    PGCLIENTENCODING PGTARGETSESSIONATTRS PGLOADBALANCEHOSTS
# A file that is not there: where no password is given, none is sent.
PGPASSFILE=/dev/null/none
PGCONNECT_TIMEOUT=20
PGAPPNAME=holdfast
export PGPASSFILE PGCONNECT_TIMEOUT PGAPPNAME
field; [ -z "$v" ] || { PGHOST=$v; export PGHOST; }
field; PGPORT=${v:-5432}; export PGPORT
field; [ -z "$v" ] || { PGUSER=$v; export PGUSER; }
field; has_password=$v
field; [ "$has_password" = 0 ] || { PGPASSWORD=$v; export PGPASSWORD; }
field; PGDATABASE=$v; export PGDATABASE
needs() {
    for one; do
        command -v "$one" >/dev/null 2>&1 || refuse missing_tool "$one"
    done
}
# Constant SQL from standard input, with `--set=NAME=VALUE` for what varies: psql quotes it itself.
sql() { psql -X -q -A -t -w --set=ON_ERROR_STOP=1 --set=VERBOSITY=verbose "$@" -f -; }
