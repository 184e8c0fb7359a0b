#!/usr/bin/env python3
"""Holds the shape of the house: layer order, one home per library, what nobody may call, headers that
compile alone, a test per contract, small functions and files. Exits non-zero when something is wrong.

test/lint/allowed.txt lists the exceptions that stand for now, one a line: KIND WHERE REASON. The list may
only shrink: a line that is no longer needed is a problem too (lint.py --shrink removes those)."""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ALLOWED = 'test/lint/allowed.txt'
SELF = 'test/lint/lint.py'

LAYERS = ['base', 'crypto', 'primitives', 'chain', 'script', 'descriptor', 'consensus', 'ledger', 'mempool',
          'mine', 'p2p', 'wallet', 'rpc', 'node', 'net']

# Which headers belong to which library, and the only files that may include them.
LIBRARIES = [
    (r'openssl/', r'src/crypto/'),
    (r'secp256k1', r'src/crypto/'),
    (r'leveldb/', r'src/ledger/kv'),
    (r'sqlite3', r'src/wallet/'),
    (r'event2/|event\.h|evhttp|evdns', r'src/net/'),
    (r'zmq|natpmp', r'src/net/'),
]

# name: (why, the files that may call it)
UNSAFE = 'has no bound or no error: use span, buf or snprintf'
MEMORY = 'memory comes from mem_*, arena or buf'
WORLD = 'the core knows clocks, threads, sockets and chance only through struct env'
DIE = 'nothing may end the process from within a layer: return a failure'
BANNED = {}
for names, why, where in [
    ('strcpy strcat sprintf vsprintf strtok gets atoi atol atoll atof alloca strncpy strncat', UNSAFE, r'$.'),
    ('malloc calloc realloc free strdup strndup asprintf vasprintf', MEMORY, r'src/base/mem\.c|test/unit/|test/fuzz/'),
    ('rand srand random srandom getrandom', WORLD, r'src/crypto/|test/'),
    ('time gettimeofday clock_gettime', WORLD, r'src/base/|src/net/|src/[^/]*\.c|test/'),
    ('sleep usleep nanosleep pthread_create socket', WORLD, r'src/base/|src/net/|src/[^/]*\.c|test/'),
    ('abort exit assert', DIE, r'src/[^/]*\.c|test/'),
]:
    for banned_name in names.split():
        BANNED[banned_name] = (why, re.compile(where))
CALL = re.compile(r'(?<![\w.>])(' + '|'.join(BANNED) + r')\s*\(')

# Contracts whose proof lies in a test of another name.
COVERED = {
    'include/coin/chain/embedded.h': ('test/unit/test_chain.c', 'loads every embedded chain'),
}

FUNCTION_MAX = 80
FILE_MAX = 1000
FORBIDDEN = [
    (re.compile('/wo' + 'rk/'), 'a path of one machine'),
    (re.compile(r'\b(TO' + r'DO|FIX' + r'ME|X' + r'XX)\b'), 'an unfinished place'),
    (re.compile('not ' + 'implemented', re.I), 'an unfinished place'),
]

problems = []
excused = []  # (kind, where, text): problems that allowed.txt may excuse


def problem(where, text):
    problems.append('%s: %s' % (where, text))


def tracked():
    try:
        out = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
        names = out.split('\n')
    except (OSError, subprocess.CalledProcessError):  # a tarball
        names = []
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [f for f in folders if not f.startswith(('.', 'build')) and f != '__pycache__']
            names += [os.path.relpath(os.path.join(folder, f), ROOT) for f in files]
    return sorted(n for n in set(names) if n and os.path.isfile(os.path.join(ROOT, n)))


def read(name):
    with open(os.path.join(ROOT, name), 'rb') as f:
        data = f.read()
    return None if b'\0' in data[:8192] else data.decode('utf-8', 'replace')


TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code_of(text):
    """The text without comments and the insides of strings; lines stay where they are."""
    return TOKEN.sub(lambda m: '""' if m.group()[0] in '"\'' else '\n' * m.group().count('\n') or ' ', text)


def layer_of(name):
    m = re.match(r'(?:src|include/coin)/([^/]+)/', name)
    return m.group(1) if m else None


def check_includes(name, text):
    layer = layer_of(name)
    if layer is not None and layer not in LAYERS:
        problem(name, 'no layer is called %s' % layer)
        return
    for number, line in enumerate(text.split('\n'), 1):
        m = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if not m:
            continue
        where, path = '%s:%d' % (name, number), m.group(2)
        if name.startswith(('src/', 'include/')):
            for pattern, home in LIBRARIES:
                if m.group(1) == '<' and re.match(pattern, path) and not re.match(home, name):
                    problem(where, '<%s> belongs to %s' % (path, home))
        if m.group(1) != '"':
            continue
        to = re.match(r'coin/([^/]+)/', path)
        if to and layer:
            if to.group(1) not in LAYERS:
                problem(where, 'no layer is called %s' % to.group(1))
            elif LAYERS.index(to.group(1)) > LAYERS.index(layer):
                problem(where, '%s may not include %s' % (layer, to.group(1)))
        elif layer and ('/' in path or not os.path.exists(os.path.join(ROOT, os.path.dirname(name), path))):
            problem(where, '"%s": a contract (coin/<layer>/x.h) or a header beside the file' % path)


def check_calls(name, code):
    for number, line in enumerate(code.split('\n'), 1):
        for m in CALL.finditer(line):
            why, where = BANNED[m.group(1)]
            if not where.match(name):
                problem('%s:%d' % (name, number), '%s(): %s' % (m.group(1), why))


def check_shape(name, text, code):
    if name.endswith('.c') and not text.startswith('/*'):
        problem(name, 'opens with no comment that says what it is')
    start = signature = None
    previous = ''
    for number, line in enumerate(code.split('\n'), 1):
        if line[:1] not in ('', ' ', '\t', '#', '{', '}', ')') and not previous.endswith(','):
            signature = number
        if line == '{':
            start = signature or number
        elif line.startswith('}') and start is not None:
            length = number - start + 1
            if length > FUNCTION_MAX:
                m = re.search(r'(\w+)\s*\(', code.split('\n')[start - 1])
                who = m.group(1) if m else 'line%d' % start
                excused.append(('long-function', '%s:%s' % (name, who),
                                '%s() is %d lines long, more than %d' % (who, length, FUNCTION_MAX)))
            start = None
        previous = line.rstrip() or previous


def check_guard(name, text):
    parts = name.split('/')
    folder = parts[2] if name.startswith('include/') else parts[1]
    if name.startswith('include/'):
        expect = 'COIN_%s_%s' % (folder.upper(), re.sub(r'\W', '_', parts[-1]).upper())
        if not re.search(r'#ifndef %s\n#define %s\n' % (expect, expect), text):
            problem(name, 'include guard %s is missing' % expect)
    elif not re.search(r'#ifndef (\w+)\n#define \1\n', text) and '#pragma once' not in text:
        problem(name, 'no include guard')


def check_alone(name):
    command = [os.environ.get('CC', 'cc'), '-std=c11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-Iinclude',
               '-fsyntax-only', '-x', 'c', name]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return name, done.returncode, done.stdout.decode('utf-8', 'replace').strip()


def check_headers(headers):
    if shutil.which(os.environ.get('CC', 'cc').split()[0]) is None:
        print('lint: no compiler: whether headers compile alone was not checked')
        return
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, status, output in pool.map(check_alone, headers):
            if status != 0:
                problem(name, 'does not compile alone:\n    ' + '\n    '.join(output.split('\n')[:6]))


def check_tests(names):
    for name in names:
        m = re.match(r'include/coin/\w+/(\w+)\.h$', name)
        if not m or 'test/unit/test_%s.c' % m.group(1) in names:
            continue
        if name in COVERED and COVERED[name][0] in names:
            continue
        excused.append(('untested', name, 'has no test/unit/test_%s.c' % m.group(1)))


def check_words(name, text):
    if name == SELF:
        return
    for number, line in enumerate(text.split('\n'), 1):
        for pattern, what in FORBIDDEN:
            m = pattern.search(line)
            if m:
                problem('%s:%d' % (name, number), '"%s": %s' % (m.group(), what))


def weigh_allowed(shrink):
    """Sets allowed exceptions against what was found; the rest become problems."""
    path = os.path.join(ROOT, ALLOWED)
    with open(path) as f:
        lines = f.read().split('\n')
    wanted = {(kind, where) for kind, where, _ in excused}
    allowed, keep = set(), []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith('#'):
            keep.append(line)
            continue
        words = line.split(None, 2)
        if len(words) < 3:
            problem('%s:%d' % (ALLOWED, number), 'KIND WHERE REASON')
        elif tuple(words[:2]) in wanted:
            allowed.add(tuple(words[:2]))
            keep.append(line)
        elif not shrink:
            problem('%s:%d' % (ALLOWED, number),
                    '%s %s is no longer needed: lint.py --shrink' % tuple(words[:2]))
    if shrink and keep != lines:
        with open(path, 'w') as f:
            f.write('\n'.join(keep))
    for kind, where, text in excused:
        if (kind, where) not in allowed:
            problem(where, text)
    return len(allowed)


def main():
    names = tracked()
    sources = headers = 0
    alone = []
    for name in names:
        text = read(name)
        if text is None:
            continue
        check_words(name, text)
        if name.endswith(('.c', '.h', '.py')) and text.count('\n') > FILE_MAX:
            excused.append(('long-file', name, '%d lines, more than %d' % (text.count('\n'), FILE_MAX)))
        if not name.endswith(('.c', '.h')):
            continue
        sources += 1
        code = code_of(text)
        check_includes(name, text)
        check_calls(name, code)
        check_shape(name, text, code)
        if name.endswith('.h') and name.startswith(('src/', 'include/')):
            headers += 1
            alone.append(name)
            check_guard(name, text)
    check_headers(alone)
    check_tests(set(names))
    allowed = weigh_allowed('--shrink' in sys.argv[1:])
    for line in problems:
        print(line)
    if allowed:
        print('lint: %d exceptions stand in %s' % (allowed, ALLOWED))
    print('lint: %d files, %d problems' % (len(names), len(problems)))
    return 1 if problems or sources == 0 or headers == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
