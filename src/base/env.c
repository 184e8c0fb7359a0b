/* Short names for what a core asks of the world most often. */
#include "coin/base/env.h"

int64_t env_wall_s(const struct env *env)
{
    return env->wall_ms(env->ctx) / 1000;
}

int64_t env_wall_ms(const struct env *env)
{
    return env->wall_ms(env->ctx);
}

int64_t env_steady_us(const struct env *env)
{
    return env->steady_us(env->ctx);
}

void env_random(const struct env *env, void *out, size_t size_b)
{
    env->random(env->ctx, out, size_b);
}

uint64_t env_random_u64(const struct env *env)
{
    uint8_t bytes[8];
    env->random(env->ctx, bytes, sizeof bytes);
    return get_u64le(bytes);
}

uint64_t env_random_below(const struct env *env, uint64_t limit)
{
    if (limit <= 1)
        return 0;
    /* The lowest 2^64 mod limit values would make the first remainders likelier: drawn again. */
    uint64_t reject_below = (0 - limit) % limit, v;
    do
        v = env_random_u64(env);
    while (v < reject_below);
    return v % limit;
}

bool env_submit(const struct env *env, struct job *job)
{
    return env->submit(env->ctx, job);
}
