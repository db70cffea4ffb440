-- since18.sql - the objects of since18.tsv.
\set ON_ERROR_STOP 1
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
create view rv18 as select id, email, x from r18;
create materialized view mv18 as select id, email from customer where id <= 50;
create extension btree_gist;
create table t18(id int, email text, during daterange, primary key (id, during without overlaps));
security label for redoubt on column t18.email is 'text_token';
insert into t18 select i, 't' || i, daterange('2026-01-01', '2026-02-01') from generate_series(1, 100) i;
grant all on v18, c18, r18, rv18, mv18, t18 to app;
analyze v18, c18, r18, t18;
