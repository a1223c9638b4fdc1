create schema if not exists analytics.access;
create role if not exists ANALYTICS_FINANCE;
grant usage on database analytics to role ANALYTICS_FINANCE;
create role if not exists ANALYTICS_AUDITOR;
grant usage on database analytics to role ANALYTICS_AUDITOR;
create role if not exists ANALYTICS_VIEWER$ALPHA;
grant usage on database analytics to role ANALYTICS_VIEWER$ALPHA;
create role if not exists ANALYTICS_VIEWER$B$C;
grant usage on database analytics to role ANALYTICS_VIEWER$B$C;
