-- since17.sql - the objects of since17.tsv.
\set ON_ERROR_STOP 1
-- As in setup.sql.
set redoubt.mode = 'observe'; set client_min_messages = error;
create table m17(id int primary key, email text, x int);
security label for redoubt on column m17.email is 'text_token';
insert into m17 select i, 'm' || i, 0 from generate_series(1, 100) i;
create table g17(id int, email text, g bool generated always as (email is null) stored);
security label for redoubt on column g17.email is 'text_token';
insert into g17 select i, 'g' || i from generate_series(1, 100) i;
create function own17() returns text language plpgsql volatile as $$begin return 'd'; end$$;
grant all on m17 to app;
alter table g17 owner to app;
analyze m17;
