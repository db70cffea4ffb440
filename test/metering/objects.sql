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
-- What the rest of more.tsv mentions.
create table idx_t(id int primary key, email text, k int); security label for redoubt on column idx_t.email is 'text_token';
insert into idx_t select i, 'i' || i, i % 10 from generate_series(1, 1000) i;
create index on idx_t (k, email); create index idx_partial on idx_t (id) where email like 'i1%';
create table leak_ix(id int, email text); insert into leak_ix select i, 'x' || i from generate_series(1, 1000) i;
create index on leak_ix (mask(email)); security label for redoubt on column leak_ix.email is 'text_token';
create view v_instead as select id, email, name from customer;
create function instead_f() returns trigger language plpgsql as $$begin if tg_op <> 'INSERT' then raise notice '%', old.email; return old; end if; raise notice '%', new.email; return new; end$$;
create trigger instead_t instead of insert or update or delete on v_instead for each row execute function instead_f();
create view v_checked as select id, email from customer where id > 100 with check option;
create table gen2(a text, b text, pair text generated always as (a || b) stored);
security label for redoubt on column gen2.a is 'text_token'; security label for redoubt on column gen2.b is 'text_token';
insert into gen2 select 'a' || i, 'b' || i from generate_series(1, 100) i;
create table ptrig(id int, email text, k int) partition by list (k); create table ptrig_1 partition of ptrig for values in (1);
security label for redoubt on column ptrig.email is 'text_token';
create function ptrig_f() returns trigger language plpgsql as $$begin raise notice '%', new.email; return new; end$$;
create trigger ptrig_t before insert on ptrig_1 for each row execute function ptrig_f();
create type jsrow as (e text);
create function jsleak(jsrow) returns json language plpgsql immutable as $$begin raise notice '%', $1.e; return '1'; end$$;
create cast (jsrow as json) with function jsleak(jsrow);
create table rls_o(id int); insert into rls_o values (1); alter table rls_o enable row level security;
create policy p on rls_o for select using (exists (select 1 from customer c where leak(c.email)));
analyze idx_t, leak_ix, gen2;
grant all on all tables in schema public to app, app2;
create table tokens_t(id int, t redoubt.text_token[], u text); security label for redoubt on column tokens_t.u is 'text_token';
insert into tokens_t select i, array[('a' || i)::text, ('b' || i)::text, ('c' || i)::text]::redoubt.text_token[], 'u' || i from generate_series(1, 10) i;
create table wtrig(id int, email text, x int); insert into wtrig select i, 'w' || i, 0 from generate_series(1, 100) i; security label for redoubt on column wtrig.email is 'text_token';
create function wtrig_f() returns trigger language plpgsql as $$begin return new; end$$; security label for redoubt on function wtrig_f() is 'trusted';
create trigger wtrig_t before update on wtrig for each row when (leak(old.email) is not null) execute function wtrig_f();
grant all on all tables in schema public to app, app2;
create table pins(id int, pin int); insert into pins select i, i from generate_series(1, 100) i; security label for redoubt on column pins.pin is 'text_token';
grant all on all tables in schema public to app, app2;
