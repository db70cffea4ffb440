-- objects.sql - what cases.tsv mentions and setup.sql does not make.
\set ON_ERROR_STOP 1
create function redoubt.counts(out units numeric, out probes numeric) language sql as
  $$select sum(charged) filter (where operation = 'read'), sum(charged) filter (where operation = 'probe') from redoubt.usage$$;
create table fk_child(id int primary key, e text references chk(email));
create function pleak(text) returns bool language plpgsql immutable parallel safe cost 0.0001 as $$begin return $1 is null; end$$;
create function pcat_add(text, text) returns text language plpgsql immutable parallel safe as $$begin return left($1 || $2, 64); end$$;
create aggregate pcat(text)(sfunc = pcat_add, stype = text, initcond = '', combinefunc = pcat_add, parallel = safe);
refresh materialized view mv;
insert into boxed select c from customer c where id <= 10;
grant all on all tables in schema public to app, app2;
