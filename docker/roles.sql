-- Before the first migration, as the superuser of the database container: an owner without superuser rights; the log-in
-- of api and workers, which can do what the application may and nothing else; and the workers' second one, which reads
-- everything and changes nothing, for copies of the whole database.
\set ON_ERROR_STOP on
\set owner_password `cat /run/secrets/owner_password`
\set app_password `cat /run/secrets/app_password`
\set copy_password `cat /run/secrets/copy_password`
CREATE ROLE holdfast LOGIN PASSWORD :'owner_password';
CREATE ROLE holdfast_app NOLOGIN;
CREATE ROLE holdfast_app_login LOGIN IN ROLE holdfast_app PASSWORD :'app_password';
CREATE ROLE holdfast_copy_login LOGIN BYPASSRLS IN ROLE pg_read_all_data PASSWORD :'copy_password';
GRANT holdfast_app TO holdfast;
CREATE DATABASE holdfast OWNER holdfast;
REVOKE CONNECT ON DATABASE holdfast FROM PUBLIC;
GRANT CONNECT ON DATABASE holdfast TO holdfast_app_login, holdfast_copy_login;
