# urls.py - the pages of contrib.admin and contrib.auth.
from django.contrib import admin
from django.urls import include, path

urlpatterns = [path('admin/', admin.site.urls), path('accounts/', include('django.contrib.auth.urls'))]
