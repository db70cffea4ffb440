/* redoubt--0.1--0.2.sql - what version 0.2 adds to the SQL objects of 0.1.
 *
 * CREATE EXTENSION runs redoubt--0.1.sql and then this file, ALTER EXTENSION redoubt UPDATE this file alone: a database
 * that was updated and a new one hold the same objects, and redoubt--0.1.sql never changes again.
 */
\echo Use "ALTER EXTENSION redoubt UPDATE TO '0.2'" to load this file. \quit
