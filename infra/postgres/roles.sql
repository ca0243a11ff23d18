-- Who may do what in PostgreSQL, run once by its superuser:
--
--   psql -v owner_password=... -v app_password=... -v prefect_password=... -f roles.sql
--
-- rightstep_owner  owns the ledger and migrates it; only `rightstep db upgrade` connects as it.
-- rightstep_app    is what the product works as. `rightstep db upgrade` grants it its tables: of the audit log
--                  it may read and add, never change, remove or truncate.
-- prefect          owns Prefect's database, which is never the ledger's.
CREATE ROLE rightstep_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'owner_password';
CREATE ROLE rightstep_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'app_password';
CREATE ROLE prefect LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'prefect_password';

CREATE DATABASE rightstep OWNER rightstep_owner;
CREATE DATABASE prefect OWNER prefect;

-- Everybody may connect everywhere by default.
REVOKE ALL ON DATABASE rightstep, prefect FROM PUBLIC;
GRANT CONNECT ON DATABASE rightstep TO rightstep_app;

\connect rightstep
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER SCHEMA public OWNER TO rightstep_owner;

\connect prefect
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER SCHEMA public OWNER TO prefect;
CREATE EXTENSION IF NOT EXISTS pg_trgm; -- Prefect's migrations ask for it, and only a superuser may
