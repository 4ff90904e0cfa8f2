-- Before the first migration, as the superuser of the database container: an owner without superuser rights, and the
-- log-in of api and workers, which can do what the application may and nothing else.
\getenv owner_password HOLDFAST_OWNER_PASSWORD
\getenv app_password HOLDFAST_APP_PASSWORD
CREATE ROLE holdfast LOGIN CREATEROLE PASSWORD :'owner_password';
CREATE ROLE holdfast_app NOLOGIN;
CREATE ROLE holdfast_app_login LOGIN IN ROLE holdfast_app PASSWORD :'app_password';
GRANT holdfast_app TO holdfast WITH ADMIN OPTION;
CREATE DATABASE holdfast OWNER holdfast;
