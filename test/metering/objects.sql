-- objects.sql - what cases.tsv mentions and setup.sql does not make.
\set ON_ERROR_STOP 1
create function redoubt.counts(out units numeric, out probes numeric) language sql as
  $$select sum(charged) filter (where operation = 'read'), sum(charged) filter (where operation = 'probe') from redoubt.usage$$;
create table fk_child(id int primary key, e text references chk(email));
create function pleak(text) returns bool language plpgsql immutable parallel safe cost 0.0001 as $$begin return $1 is null; end$$;
create function pcat_add(text, text) returns text language plpgsql immutable parallel safe as $$begin return left($1 || $2, 64); end$$;
create aggregate pcat(text)(sfunc = pcat_add, stype = text, initcond = '', combinefunc = pcat_add, parallel = safe);
create type leakrow as (d leakdom);
create table casc_p(id int primary key); insert into casc_p values (1);
create table casc_c(id int references casc_p on update cascade); insert into casc_c values (1);
create function casc_f() returns trigger language plpgsql as $$declare e text; begin for e in select email from customer loop null; end loop; return new; end$$;
create trigger casc before update on casc_c for each row execute function casc_f();
alter table casc_c owner to app; alter table casc_p owner to app;
refresh materialized view mv;
insert into boxed select c from customer c where id <= 10;
grant all on all tables in schema public to app, app2;
create function par_read(int) returns text language plpgsql stable parallel safe as $$begin return (select email from customer where id = $1); end$$;
grant execute on function par_read(int) to app;
