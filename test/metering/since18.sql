-- since18.sql - the objects of since18.tsv.
\set ON_ERROR_STOP 1
-- As in setup.sql.
set redoubt.mode = 'observe'; set client_min_messages = error;
create table v18(id int primary key, email text, v text generated always as (upper(email)) virtual,
                 n int generated always as (id * 2) virtual);
security label for redoubt on column v18.email is 'text_token';
insert into v18 select i, 'v' || i from generate_series(1, 100) i;
create table c18(id int primary key, x int, email text, v text generated always as (upper(email)) virtual,
                 check (leak(v) is not null));
security label for redoubt on column c18.email is 'text_token';
insert into c18 select i, 0, 'c' || i from generate_series(1, 100) i;
create table r18(id int primary key, email text, x int);
security label for redoubt on column r18.email is 'text_token';
insert into r18 select i, 'r' || i, 0 from generate_series(1, 100) i;
alter table r18 add constraint unheld check (email like 'r%' or x < 0) not enforced;
create view rv18 as select id, email, x from r18;
create materialized view mv18 as select id, email from customer where id <= 50;
create extension btree_gist;
create table t18(id int, email text, during daterange, primary key (id, during without overlaps));
security label for redoubt on column t18.email is 'text_token';
insert into t18 select i, 't' || i, daterange('2026-01-01', '2026-02-01') from generate_series(1, 100) i;
create table vc18(id int, n int, email text, v text generated always as (upper(email)) virtual, check (v like 'V%'));
security label for redoubt on column vc18.email is 'text_token';
create table k18(id int, email text) partition by range (email);
create table k18_1 partition of k18 for values from ('a') to ('k5'); create table k18_2 partition of k18 for values from ('k5') to ('z');
security label for redoubt on column k18.email is 'text_token'; insert into k18 select i, 'k' || i from generate_series(1, 100) i;
create table nv18(k int unique, email text, x int);
security label for redoubt on column nv18.email is 'text_token';
insert into nv18 select null, 'n' || (i % 7), i from generate_series(1, 100) i;
alter table nv18 add constraint later not null k not valid;
create table gn18(id int primary key, x int, email text, g text generated always as (substring(email from '^n1.*')) stored);
security label for redoubt on column gn18.email is 'text_token';
insert into gn18 select i, 0, 'n' || i from generate_series(1, 100) i;
alter table gn18 add constraint later not null g not valid;
grant all on nv18, gn18 to app;
grant all on vc18, k18, v18, c18, r18, rv18, mv18, t18 to app;
analyze v18, c18, r18, t18, nv18, gn18;
