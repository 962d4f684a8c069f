// How urgent a thread is. Pd may run with real-time priority, and every thread that it starts would have the same.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <algorithm>

namespace nn {

// The worker: before all ordinary programs if Pd is, but never before Pd's own audio.
inline void less_urgent_than_audio() {
    sched_param how{};
    int policy = SCHED_OTHER;
    if (pthread_getschedparam(pthread_self(), &policy, &how) != 0 || policy == SCHED_OTHER) return;
    how.sched_priority = std::max(how.sched_priority - 2, sched_get_priority_min(policy));
    pthread_setschedparam(pthread_self(), policy, &how);
}

// Loading and warming up can wait for everything else.
inline void not_urgent() {
    const sched_param how{};
    pthread_setschedparam(pthread_self(), SCHED_OTHER, &how);
}

}  // namespace nn
